/* Who a command runs as. */
#ifndef JKVM_USER_H
#define JKVM_USER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define MOST_GROUPS 1024

struct user {
	uid_t uid;
	gid_t gid;
	/* Further ones. */
	gid_t groups[MOST_GROUPS];
	size_t group_count;
	/* Null if nothing is known of it. */
	char *home;
};

/* Finds "USER" or "USER:GROUP", each a name or a number. The text is changed. False if there is no such user or group. */
bool find_user(char *text, struct user *user);

#endif
