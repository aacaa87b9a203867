/* From the kernel's start to a root with the usual file systems. Order and options: Linux, Documentation/filesystems/overlayfs.rst, cgroup-v2.rst. */
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#define DISK "/dev/vda"
#define IMAGE "/image"
#define MEMORY "/memory"
#define ROOT "/root"
#define GROUPS "sys/fs/cgroup"
/* Where the host puts modules: as 0, 1, ... in the order in which they are to be loaded. */
#define MODULES "/modules"
#define NETWORK_MODULES "/network"

/* How many processes commands may have together. */
#define MOST_PROCESSES "2048"
/* How much memory commands leave to the agent and the kernel: a sixteenth, but at least this. */
#define LEAST_RESERVE (16UL << 20)

int proc_folder = -1;
int commands_group = -1;

void die(const char *format, ...)
{
	va_list values;

	va_start(values, format);
	fprintf(stderr, "jkvm agent: ");
	vfprintf(stderr, format, values);
	fprintf(stderr, "\n");
	va_end(values);
	exit(1);
}

static void must_mount(const char *what, const char *where, const char *type, unsigned long flags, const char *options)
{
	mkdir(where, 0755);
	if (mount(what, where, type, flags, options) < 0)
		die("can't mount %s of type %s at %s: %s", what, type, where, strerror(errno));
}

static void load_modules(const char *folder)
{
	char path[32];

	for (int i = 0;; i++) {
		snprintf(path, sizeof(path), "%s/%d", folder, i);
		int module = open(path, O_RDONLY | O_CLOEXEC);
		if (module < 0)
			return;
		if (syscall(SYS_finit_module, module, "", 0) < 0 && errno != EEXIST)
			die("can't load module %d of %s: %s", i, folder, strerror(errno));
		close(module);
		/* It is in memory twice otherwise. */
		unlink(path);
	}
}

static void load_network_modules(void)
{
	if (access(NETWORK_MODULES, F_OK) < 0)
		return;
	must_mount("sys", "/sys", "sysfs", 0, NULL);
	bus_folder = open("/sys/bus/virtio", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	hold_network_drivers();
	load_modules(NETWORK_MODULES);
	release_network_drivers();
}

static void await_disk(void)
{
	struct timespec moment = {.tv_nsec = 1000000};

	for (int tries = 0; access(DISK, F_OK) < 0; tries++) {
		if (tries == 10000)
			die("there is no disk");
		nanosleep(&moment, NULL);
	}
}

static void mount_root(const char *type, const char *overlay)
{
	char size[64];

	if (!strcmp(overlay, "0")) {
		must_mount(DISK, ROOT, type, MS_RDONLY, NULL);
		return;
	}
	must_mount(DISK, IMAGE, type, MS_RDONLY, NULL);
	snprintf(size, sizeof(size), "mode=0755,size=%s", overlay);
	must_mount("memory", MEMORY, "tmpfs", 0, size);
	mkdir(MEMORY "/upper", 0755);
	mkdir(MEMORY "/work", 0755);
	must_mount("root", ROOT, "overlay", 0, "lowerdir=" IMAGE ",upperdir=" MEMORY "/upper,workdir=" MEMORY "/work");
}

/* Mounts where the root has a folder, or can have one. */
static void may_mount(const char *what, const char *where, const char *type, const char *options)
{
	mkdir(where, 0755);
	if (mount(what, where, type, MS_NOSUID, options) < 0 && errno != ENOENT)
		die("can't mount %s at %s: %s", what, where, strerror(errno));
}

static bool write_file(const char *path, const char *text)
{
	int file = open(path, O_WRONLY | O_CLOEXEC);
	bool fine = file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text);

	if (file >= 0)
		close(file);
	return fine;
}

/* Commands get a control group of their own, so that neither their number nor their memory is the agent's end. */
static void make_group(void)
{
	struct sysinfo info;
	char most[32];

	mkdir("/groups", 0755);
	if (mount("groups", "/groups", "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return;
	mkdir("/groups/commands", 0755);
	if (write_file("/groups/cgroup.subtree_control", "+pids"))
		write_file("/groups/commands/pids.max", MOST_PROCESSES);
	if (write_file("/groups/cgroup.subtree_control", "+memory") && sysinfo(&info) == 0) {
		unsigned long total = info.totalram * info.mem_unit;
		unsigned long reserve = total / 16 > LEAST_RESERVE ? total / 16 : LEAST_RESERVE;
		if (total > 2 * reserve) {
			snprintf(most, sizeof(most), "%lu", total - reserve);
			write_file("/groups/commands/memory.max", most);
		}
	}
	commands_group = open("/groups/commands/cgroup.procs", O_WRONLY | O_CLOEXEC);
}

static void raise_loopback(void)
{
	struct ifreq request = {.ifr_flags = IFF_UP};
	int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	strcpy(request.ifr_name, "lo");
	/* A kernel without a network needs none. */
	if (control >= 0) {
		ioctl(control, SIOCSIFFLAGS, &request);
		close(control);
	}
}

static void enter_root(void)
{
	if (chdir(ROOT) < 0)
		die("there is no root: %s", strerror(errno));
	if (mount("/dev", "dev", NULL, MS_MOVE, NULL) < 0)
		mkdir("dev", 0755), mount("/dev", "dev", NULL, MS_MOVE, NULL);
	may_mount("proc", "proc", "proc", NULL);
	may_mount("sys", "sys", "sysfs", NULL);
	may_mount("tmp", "run", "tmpfs", "mode=0755");
	may_mount("pts", "dev/pts", "devpts", "mode=0620,ptmxmode=0666");
	may_mount("shm", "dev/shm", "tmpfs", "mode=1777");
	if (mount("/groups", GROUPS, NULL, MS_MOVE, NULL) < 0)
		umount2("/groups", MNT_DETACH);
	if (mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
		die("can't enter the root: %s", strerror(errno));
}

void boot(int argc, char **argv)
{
	/* Before its own, the kernel gives the first process all words that it does not know itself. */
	if (argc < 3)
		die("%d arguments where the file system's type and the overlay's size were expected", argc - 1);
	if (access("/complete", F_OK) < 0)
		die("the first file system was not unpacked to its end: too little memory");
	umask(022);
	must_mount("dev", "/dev", "devtmpfs", MS_NOSUID, "mode=0755");
	must_mount("proc", "/proc", "proc", 0, NULL);
	proc_folder = open("/proc", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	write_file("/proc/self/oom_score_adj", "-1000");
	load_modules(MODULES);
	load_network_modules();
	await_disk();
	mount_root(argv[argc - 2], argv[argc - 1]);
	make_group();
	raise_loopback();
	if (sethostname("sandbox", 7) < 0)
		die("sethostname: %s", strerror(errno));
	enter_root();
}
