/*
 * The guest's interface to a network. Its driver is there before the machine is saved, and gets its device only after that, so that each machine that goes on
 * has the address and the features of its own device. Files of the bus: Linux, Documentation/ABI/testing/sysfs-bus-virtio and drivers/base/bus.c; calls:
 * netdevice(7).
 */
#include "agent.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define INTERFACE "eth0"
#define RESOLVERS "/etc/resolv.conf"
/* virtio 1.2, 5: the number of network devices, as the bus shows it. */
#define NETWORK_DEVICE "0x0001"

/* What the host says: u8 bits of the network, or 0; address; gateway, or 0; text. */
#define PREFIX 0
#define ADDRESS 1
#define GATEWAY 5
#define TEXT 9

int bus_folder = -1;

static bool write_bus(const char *path, const char *text)
{
	int file = openat(bus_folder, path, O_WRONLY | O_CLOEXEC);
	bool fine = file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text);
	int error = errno;

	if (file >= 0)
		close(file);
	errno = error;
	return fine;
}

static bool is_network(const char *device)
{
	char path[NAME_MAX + 32], type[sizeof(NETWORK_DEVICE) - 1];

	snprintf(path, sizeof(path), "devices/%s/device", device);
	int file = openat(bus_folder, path, O_RDONLY | O_CLOEXEC);
	bool is = file >= 0 && read(file, type, sizeof(type)) == sizeof(type) && !memcmp(type, NETWORK_DEVICE, sizeof(type));
	if (file >= 0)
		close(file);
	return is;
}

/* Finds the name of the device on its bus. */
static bool find_device(char *name, size_t size)
{
	int folder = openat(bus_folder, "devices", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *devices = folder < 0 ? NULL : fdopendir(folder);
	bool found = false;

	if (!devices)
		return false;
	for (struct dirent *entry; !found && (entry = readdir(devices));)
		if (entry->d_name[0] != '.' && is_network(entry->d_name)) {
			snprintf(name, size, "%s", entry->d_name);
			found = true;
		}
	closedir(devices);
	errno = ENODEV;
	return found;
}

void hold_network_drivers(void)
{
	if (!write_bus("drivers_autoprobe", "0"))
		die("the bus of devices can't be told to wait: %s", strerror(errno));
}

void release_network_drivers(void)
{
	if (!write_bus("drivers_autoprobe", "1"))
		die("the bus of devices can't be told to go on: %s", strerror(errno));
}

static bool start_driver(void)
{
	char name[NAME_MAX + 1], path[NAME_MAX + 32];

	if (!find_device(name, sizeof(name)))
		return false;
	snprintf(path, sizeof(path), "devices/%s/driver/unbind", name);
	/* A driver that is built in has had a device already, before the machine was saved; or this is not the first try. */
	if (!write_bus(path, name) && errno != ENOENT)
		return false;
	return write_bus("drivers/virtio_net/bind", name);
}

static void set_address(struct sockaddr *target, const uint8_t *address)
{
	struct sockaddr_in value = {.sin_family = AF_INET};

	memcpy(&value.sin_addr, address, 4);
	memcpy(target, &value, sizeof(value));
}

static bool raise_interface(int control, const uint8_t *order)
{
	struct ifreq request = {.ifr_name = INTERFACE};
	uint32_t mask = htonl(~0U << (32 - order[PREFIX]));

	set_address(&request.ifr_addr, order + ADDRESS);
	if (ioctl(control, SIOCSIFADDR, &request) < 0)
		return false;
	set_address(&request.ifr_netmask, (const uint8_t *)&mask);
	if (ioctl(control, SIOCSIFNETMASK, &request) < 0 || ioctl(control, SIOCGIFFLAGS, &request) < 0)
		return false;
	request.ifr_flags |= IFF_UP;
	return ioctl(control, SIOCSIFFLAGS, &request) == 0;
}

static bool add_default_route(int control, const uint8_t *gateway)
{
	static const uint8_t any[4];
	struct rtentry route = {.rt_flags = RTF_UP | RTF_GATEWAY, .rt_dev = INTERFACE};

	if (!memcmp(gateway, any, sizeof(any)))
		return true;
	set_address(&route.rt_dst, any);
	set_address(&route.rt_genmask, any);
	set_address(&route.rt_gateway, gateway);
	return ioctl(control, SIOCADDRT, &route) == 0;
}

static bool write_resolvers(const uint8_t *text, size_t size)
{
	if (size == 0)
		return true;
	if (mkdir("/etc", 0755) < 0 && errno != EEXIST)
		return false;
	/* Often a link to what a service of a whole system would write. */
	if (unlink(RESOLVERS) < 0 && errno != ENOENT)
		return false;
	int file = open(RESOLVERS, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	bool fine = file >= 0 && write(file, text, size) == (ssize_t)size;
	int error = errno;
	if (file >= 0)
		close(file);
	errno = error;
	return fine;
}

void join_network(struct wire *wire, struct frame *first)
{
	const uint8_t *order = first->payload;

	if (first->size < TEXT || order[PREFIX] > 32)
		_exit(1);
	if (!start_driver()) {
		send_failure(wire, errno, "can't start the driver of", INTERFACE);
		return;
	}
	if (order[PREFIX] > 0) {
		int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

		if (control < 0 || !raise_interface(control, order)) {
			send_failure(wire, errno, "can't give an address to", INTERFACE);
			return;
		}
		if (!add_default_route(control, order + GATEWAY)) {
			send_failure(wire, errno, "can't set the gateway of", INTERFACE);
			return;
		}
		close(control);
	}
	if (!write_resolvers(order + TEXT, first->size - TEXT)) {
		send_failure(wire, errno, "can't write", RESOLVERS);
		return;
	}
	send_frame(wire, DONE, NULL, 0);
}
