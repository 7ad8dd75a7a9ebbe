# SPDX-License-Identifier: GPL-2.0
# Completes the words of khoctl in bash.

_khoctl()
{
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
	local verbs="abi check dump finish load release show timeline" verb="" w

	for w in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
		[[ " $verbs " == *" $w "* ]] && verb=$w
	done

	case $before in
	-f|--from|-t|--to|-m|--memory)
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		return
		;;
	-R|--root)
		mapfile -t COMPREPLY < <(compgen -d -- "$word")
		return
		;;
	-a|--as)
		mapfile -t COMPREPLY < <(compgen -W "tree luo sessions files memfd metadata timeline" -- "$word")
		return
		;;
	esac

	case $verb:$word in
	check:-*)
		mapfile -t COMPREPLY < <(compgen -W "--from --to --json --root" -- "$word")
		;;
	load:-*)
		mapfile -t COMPREPLY < <(compgen -W "--force --json" -- "$word")
		;;
	finish:-*)
		mapfile -t COMPREPLY < <(compgen -W "--yes --force --json" -- "$word")
		;;
	release:-*)
		mapfile -t COMPREPLY < <(compgen -W "--yes --json" -- "$word")
		;;
	finish:*)
		mapfile -t COMPREPLY < <(compgen -W "$(sed -n 's/^session: //p' \
			/sys/kernel/debug/liveupdate/incoming 2>/dev/null)" -- "$word")
		;;
	dump:-*)
		mapfile -t COMPREPLY < <(compgen -W "--as --memory --json" -- "$word")
		;;
	*:-*)
		mapfile -t COMPREPLY < <(compgen -W "--json --root --help" -- "$word")
		;;
	:*)
		mapfile -t COMPREPLY < <(compgen -W "$verbs" -- "$word")
		;;
	abi:*|dump:*|load:*)
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		;;
	esac
}
complete -o filenames -F _khoctl khoctl
