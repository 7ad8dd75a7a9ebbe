/* SPDX-License-Identifier: GPL-2.0 */
/* Lists and hash tables with the interface of the kernel's. */
#ifndef KHO_DUPLICATED_LIST_H
#define KHO_DUPLICATED_LIST_H

#include "base.h"

struct list_head {
	struct list_head *next, *prev;
};

#define LIST_HEAD_INIT(name)	{ &(name), &(name) }
#define LIST_HEAD(name)		struct list_head name = LIST_HEAD_INIT(name)

static inline void INIT_LIST_HEAD(struct list_head *head)
{
	head->next = head;
	head->prev = head;
}

static inline bool list_empty(const struct list_head *head)
{
	return head->next == head;
}

static inline bool list_is_first(const struct list_head *item,
				 const struct list_head *head)
{
	return head->next == item;
}

static inline bool list_is_last(const struct list_head *item,
				const struct list_head *head)
{
	return head->prev == item;
}

static inline bool list_is_head(const struct list_head *item,
				const struct list_head *head)
{
	return item == head;
}

static inline void list_add(struct list_head *item, struct list_head *head)
{
	struct list_head *first = head->next;

	item->prev = head;
	item->next = first;
	first->prev = item;
	head->next = item;
}

static inline void list_add_tail(struct list_head *item, struct list_head *head)
{
	struct list_head *last = head->prev;

	item->prev = last;
	item->next = head;
	last->next = item;
	head->prev = item;
}

/* Following the pointers of a removed item faults. */
static inline void list_del(struct list_head *item)
{
	item->prev->next = item->next;
	item->next->prev = item->prev;
	item->next = (void *)0xdead000000000100;
	item->prev = (void *)0xdead000000000200;
}

static inline void list_del_init(struct list_head *item)
{
	list_del(item);
	INIT_LIST_HEAD(item);
}

#define list_entry(ptr, type, member)	container_of(ptr, type, member)
#define list_item(ptr, pos, member)	list_entry(ptr, typeof(*(pos)), member)
#define list_next_entry(pos, member)	list_item((pos)->member.next, pos, member)
#define list_prev_entry(pos, member)	list_item((pos)->member.prev, pos, member)

#define list_first_entry_or_null(head, type, member)			\
	(list_empty(head) ? NULL : list_entry((head)->next, type, member))
#define list_last_entry_or_null(head, type, member)			\
	(list_empty(head) ? NULL : list_entry((head)->prev, type, member))

#define list_first_entry(head, type, member)	list_entry((head)->next, type, member)
#define list_entry_is_head(pos, head, member)	(&(pos)->member == (head))

#define list_for_each(pos, head)					\
	for (pos = (head)->next; pos != (head); pos = pos->next)

#define list_for_each_entry(pos, head, member)				\
	for (pos = list_item((head)->next, pos, member);		\
	     &pos->member != (head); pos = list_next_entry(pos, member))

#define list_for_each_entry_reverse(pos, head, member)			\
	for (pos = list_item((head)->prev, pos, member);		\
	     &pos->member != (head); pos = list_prev_entry(pos, member))

#define list_for_each_entry_continue_reverse(pos, head, member)		\
	for (pos = list_prev_entry(pos, member);			\
	     &pos->member != (head); pos = list_prev_entry(pos, member))

#define list_for_each_entry_safe(pos, tmp, head, member)		\
	for (pos = list_item((head)->next, pos, member),		\
	     tmp = list_next_entry(pos, member);			\
	     &pos->member != (head);					\
	     pos = tmp, tmp = list_next_entry(tmp, member))

#define list_for_each_entry_safe_reverse(pos, tmp, head, member)	\
	for (pos = list_item((head)->prev, pos, member),		\
	     tmp = list_prev_entry(pos, member);			\
	     &pos->member != (head);					\
	     pos = tmp, tmp = list_prev_entry(tmp, member))

/* Only sparse checks __private. */
#define __private
#define ACCESS_PRIVATE(ptr, member)	((ptr)->member)
#define list_private_for_each_entry(pos, head, member)			\
	list_for_each_entry(pos, head, member)

struct hlist_node {
	struct hlist_node *next, **link;
};

struct hlist_head {
	struct hlist_node *first;
};

static inline void hlist_add_head(struct hlist_node *node, struct hlist_head *head)
{
	node->next = head->first;
	if (node->next)
		node->next->link = &node->next;
	node->link = &head->first;
	head->first = node;
}

static inline bool hash_hashed(struct hlist_node *node)
{
	return node->link;
}

/* Does nothing if the node is not in a list. */
static inline void hash_del(struct hlist_node *node)
{
	if (!node->link)
		return;
	*node->link = node->next;
	if (node->next)
		node->next->link = node->link;
	node->next = NULL;
	node->link = NULL;
}

#define DECLARE_HASHTABLE(name, bits)	struct hlist_head name[1 << (bits)]
#define DEFINE_HASHTABLE(name, bits)	DECLARE_HASHTABLE(name, bits)

#define hash_bucket(table, key)						\
	(&(table)[((u64)(key) * 0x9e3779b97f4a7c15ULL >> 32) % ARRAY_SIZE(table)])
#define hash_add(table, node, key)	hlist_add_head(node, hash_bucket(table, key))

#define hlist_item(node, pos, member) ({				\
	struct hlist_node *__node = (node);				\
	__node ? list_item(__node, pos, member) : NULL;			\
})
#define hash_for_each_possible(table, pos, member, key)			\
	for (pos = hlist_item(hash_bucket(table, key)->first, pos, member); \
	     pos; pos = hlist_item(pos->member.next, pos, member))
#define hash_for_each(table, bucket, pos, member)			\
	for ((bucket) = 0, pos = NULL; !pos && (bucket) < (int)ARRAY_SIZE(table); (bucket)++) \
		for (pos = hlist_item((table)[bucket].first, pos, member); \
		     pos; pos = hlist_item(pos->member.next, pos, member))

static inline u32 hash_ptr(const void *ptr, unsigned int bits)
{
	return (u64)(uintptr_t)ptr * 0x9e3779b97f4a7c15ULL >> (64 - bits);
}

#endif /* KHO_DUPLICATED_LIST_H */
