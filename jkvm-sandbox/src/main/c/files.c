/* Copies files between the host and the guest. */
#include "agent.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENTRY_HEADER 15
/* Folders in folders; Linux allows about so many in a path. */
#define MAX_DEPTH 256

/* Entries that come from the host. */
struct target {
	const char *path;
	int file;
	int error;
	int64_t changed;
	char name[PATH_MAX];
};

static void note(struct target *target)
{
	if (!target->error)
		target->error = errno;
}

static void make_parents(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		mkdir(path, 0755);
		*slash = '/';
	}
}

static void finish_file(struct target *target)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = target->changed}};

	if (target->file < 0)
		return;
	/* Last, since writing moves it. */
	futimens(target->file, times);
	if (close(target->file) < 0)
		note(target);
	target->file = -1;
}

static int make_folder(const char *path, mode_t mode)
{
	struct stat there;

	if (mkdir(path, mode) < 0 && (errno != EEXIST || stat(path, &there) < 0 || !S_ISDIR(there.st_mode)))
		return -1;
	return chmod(path, mode);
}

static int make_file(struct target *target, mode_t mode, int64_t seconds)
{
	target->changed = seconds;
	target->file = open(target->name, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_CLOEXEC, 0600);
	return target->file < 0 ? -1 : fchmod(target->file, mode);
}

static void put_entry(struct target *target, const struct frame *frame)
{
	if (frame->size < ENTRY_HEADER)
		_exit(1);
	const uint8_t *at = frame->payload;
	mode_t mode = get_u32(at + 1) & 07777;
	size_t name_size = at[13] | at[14] << 8;
	const char *name = (const char *)at + ENTRY_HEADER;

	if (name_size > frame->size - ENTRY_HEADER)
		_exit(1);
	size_t link_size = frame->size - ENTRY_HEADER - name_size;
	char link[PATH_MAX];
	int length = snprintf(target->name, sizeof(target->name), "%s%s%.*s", target->path, name_size ? "/" : "", (int)name_size, name);
	if (length < 0 || (size_t)length >= sizeof(target->name) || link_size >= sizeof(link)) {
		errno = ENAMETOOLONG;
		note(target);
		return;
	}
	memcpy(link, name + name_size, link_size);
	link[link_size] = 0;
	int made = at[0] == KIND_FOLDER ? make_folder(target->name, mode)
		 : at[0] == KIND_FILE   ? make_file(target, mode, get_u64(at + 5))
					: (unlink(target->name), symlink(link, target->name));
	if (made < 0)
		note(target);
}

static void put_bytes(struct target *target, const struct frame *frame)
{
	for (uint32_t done = 0; done < frame->size && !target->error;) {
		ssize_t count = write(target->file, frame->payload + done, frame->size - done);

		if (count > 0)
			done += count;
		else if (errno != EINTR)
			note(target);
	}
}

void put_files(struct wire *wire, struct frame *first)
{
	char *path = text_of(first);
	static struct target target;
	struct frame frame;

	target.path = path;
	target.file = -1;
	make_parents(path);
	/* After an error, the rest is read all the same: the host hears of it when it listens. */
	while (read_frame(wire, &frame)) {
		switch (frame.type) {
		case ENTRY:
			finish_file(&target);
			if (!target.error)
				put_entry(&target, &frame);
			break;
		case BYTES:
			if (!target.error)
				put_bytes(&target, &frame);
			break;
		case END:
			finish_file(&target);
			if (target.error)
				send_failure(wire, target.error, "can't write", target.name);
			else
				send_frame(wire, DONE, NULL, 0);
			return;
		default:
			_exit(1);
		}
	}
	_exit(1);
}

static void send_entry(struct wire *wire, const struct stat *what, const char *name, const char *link)
{
	uint8_t *at = payload_space(wire);
	size_t name_size = strlen(name);
	size_t link_size = strlen(link);

	at[0] = S_ISREG(what->st_mode) ? KIND_FILE : S_ISDIR(what->st_mode) ? KIND_FOLDER : S_ISLNK(what->st_mode) ? KIND_LINK : KIND_OTHER;
	put_u32(at + 1, what->st_mode & 07777);
	put_u64(at + 5, what->st_mtim.tv_sec);
	at[13] = name_size;
	at[14] = name_size >> 8;
	memcpy(at + ENTRY_HEADER, name, name_size);
	memcpy(at + ENTRY_HEADER + name_size, link, link_size);
	send_payload(wire, ENTRY, ENTRY_HEADER + name_size + link_size);
}

/* Sends a file's contents. False, with errno, if they can't be read. */
static bool send_contents(struct wire *wire, int file)
{
	for (;;) {
		ssize_t count = read(file, payload_space(wire), MAX_PAYLOAD / 2);

		if (count == 0)
			return true;
		if (count > 0)
			send_payload(wire, BYTES, count);
		else if (errno != EINTR)
			return false;
	}
}

/* A walk through a folder, with the path so far. */
struct walk {
	struct wire *wire;
	char name[PATH_MAX];
};

static bool get_entry(struct walk *walk, int folder, const char *file, size_t length, int depth);

static bool get_folder(struct walk *walk, int folder, size_t length, int depth)
{
	DIR *entries = fdopendir(folder);
	struct dirent *entry;
	bool fine = entries != NULL;

	if (!entries)
		close(folder);
	while (fine && (errno = 0, entry = readdir(entries))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		size_t more = strlen(entry->d_name) + (length > 0);
		if (length + more >= sizeof(walk->name) || depth == MAX_DEPTH) {
			errno = ENAMETOOLONG;
			fine = false;
			break;
		}
		sprintf(walk->name + length, "%s%s", length > 0 ? "/" : "", entry->d_name);
		fine = get_entry(walk, folder, entry->d_name, length + more, depth + 1);
	}
	fine = fine && errno == 0;
	int error = errno;
	if (entries)
		closedir(entries);
	errno = error;
	return fine;
}

/* Sends a file or folder. What was asked for may be a link, which is followed; those below it are sent as links. */
static bool get_entry(struct walk *walk, int folder, const char *file, size_t length, int depth)
{
	struct stat what;
	char link[PATH_MAX] = "";

	if (fstatat(folder, file, &what, depth > 0 ? AT_SYMLINK_NOFOLLOW : 0) < 0)
		return false;
	if (S_ISLNK(what.st_mode)) {
		ssize_t size = readlinkat(folder, file, link, sizeof(link) - 1);
		if (size < 0)
			return false;
		link[size] = 0;
	}
	send_entry(walk->wire, &what, walk->name, link);
	if (!S_ISREG(what.st_mode) && !S_ISDIR(what.st_mode))
		return true;
	int opened = openat(folder, file, O_RDONLY | O_NONBLOCK | O_CLOEXEC | (depth > 0 ? O_NOFOLLOW : 0));
	if (opened < 0)
		return false;
	if (S_ISDIR(what.st_mode))
		return get_folder(walk, opened, length, depth);
	bool fine = send_contents(walk->wire, opened);
	int error = errno;
	close(opened);
	errno = error;
	return fine;
}

void get_files(struct wire *wire, struct frame *first)
{
	char *path = text_of(first);
	static struct walk walk;

	walk.wire = wire;
	if (!get_entry(&walk, AT_FDCWD, path, 0, 0)) {
		int error = errno;
		char name[2 * PATH_MAX];

		snprintf(name, sizeof(name), "%s%s%s", path, walk.name[0] ? "/" : "", walk.name);
		send_failure(wire, error, "can't read", name);
		return;
	}
	send_frame(wire, END, NULL, 0);
}
