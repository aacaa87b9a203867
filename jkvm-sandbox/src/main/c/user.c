/* Who a command runs as, by the root's own lists (OCI image-spec 1.1, config.md, "User"; passwd(5), group(5)). */
#include "user.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Reads a number of up to 32 bits; the last one stands for none (Linux, include/linux/uidgid.h). */
static bool read_number(const char *text, uint32_t *number)
{
	char *end;
	unsigned long long value = strtoull(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || value >= UINT32_MAX)
		return false;
	*number = value;
	return true;
}

/* Finds a user by name or number. A number without an entry is one as well, of group 0. */
static bool find_entry(const char *text, struct user *user, char **name)
{
	FILE *list = fopen("/etc/passwd", "re");
	bool numeric = read_number(text, &user->uid), found = false;

	*name = NULL;
	user->gid = 0;
	user->home = "/";
	for (struct passwd *entry; list && !found && (entry = fgetpwent(list));)
		if (!strcmp(entry->pw_name, text) || (numeric && entry->pw_uid == user->uid)) {
			found = true;
			user->uid = entry->pw_uid;
			user->gid = entry->pw_gid;
			user->home = strdup(*entry->pw_dir ? entry->pw_dir : "/");
			*name = strdup(entry->pw_name);
		}
	if (list)
		fclose(list);
	return found || numeric;
}

static bool find_group(const char *text, gid_t *gid)
{
	FILE *list = fopen("/etc/group", "re");
	bool numeric = read_number(text, gid), found = false;

	for (struct group *entry; list && !found && (entry = fgetgrent(list));)
		if (!strcmp(entry->gr_name, text) || (numeric && entry->gr_gid == *gid)) {
			found = true;
			*gid = entry->gr_gid;
		}
	if (list)
		fclose(list);
	return found || numeric;
}

/* Groups beyond the most are left out. */
static void add_groups(const char *name, struct user *user)
{
	FILE *list = fopen("/etc/group", "re");

	for (struct group *entry; list && user->group_count < MOST_GROUPS && (entry = fgetgrent(list));)
		for (char **member = entry->gr_mem; *member; member++)
			if (!strcmp(*member, name)) {
				user->groups[user->group_count++] = entry->gr_gid;
				break;
			}
	if (list)
		fclose(list);
}

bool find_user(char *text, struct user *user)
{
	char *group = strchr(text, ':');
	char *name;

	if (group)
		*group++ = 0;
	if (!find_entry(text, user, &name))
		return false;
	if (group && *group)
		return find_group(group, &user->gid);
	if (name)
		add_groups(name, user);
	return true;
}
