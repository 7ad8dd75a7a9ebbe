/* SPDX-License-Identifier: GPL-2.0 */
/* The kernel's log: kept for tests to read, and printed on request. */
#ifndef KHO_CUSTOM_PRINT_H
#define KHO_CUSTOM_PRINT_H

#include "../duplicated/base.h"

#ifndef pr_fmt
#define pr_fmt(fmt) fmt
#endif

void sim_printk(const char *fmt, ...);
int sim_vsnprintf(char *buf, size_t size, const char *fmt, va_list args);

static inline int scnprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list args;
	int len;

	va_start(args, fmt);
	len = sim_vsnprintf(buf, size, fmt, args);
	va_end(args);
	return len;
}

#define pr_err(fmt, ...)	sim_printk(pr_fmt(fmt), ##__VA_ARGS__)
#define pr_warn(fmt, ...)	pr_err(fmt, ##__VA_ARGS__)
#define pr_notice(fmt, ...)	pr_err(fmt, ##__VA_ARGS__)
#define pr_info(fmt, ...)	pr_err(fmt, ##__VA_ARGS__)
/*
 * Each call site prints SIM_BURST messages after a boot, and again after a test
 * has increased sim_interval.
 */
#define SIM_BURST	10
extern unsigned int sim_interval;
#define pr_err_ratelimited(fmt, ...) do {				\
	static unsigned int __printed, __interval;			\
									\
	if (__interval != sim_interval)					\
		__printed = 0;						\
	__interval = sim_interval;					\
	if (__printed++ < SIM_BURST)					\
		pr_err(fmt, ##__VA_ARGS__);				\
} while (0)
#define pr_warn_ratelimited(fmt, ...)	pr_err_ratelimited(fmt, ##__VA_ARGS__)
#define pr_err_once(fmt, ...)	pr_err(fmt, ##__VA_ARGS__)
#define pr_warn_once(fmt, ...)	pr_err(fmt, ##__VA_ARGS__)

/* Also print messages immediately. */
extern bool sim_log_shown;

void sim_log_clear(void);
/* Whether @text was printed since the log was cleared. */
bool sim_logged(const char *text);
const char *sim_log(void);

#endif /* KHO_CUSTOM_PRINT_H */
