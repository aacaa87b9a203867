/* What the agent is made of. */
#ifndef JKVM_AGENT_H
#define JKVM_AGENT_H

#include "wire.h"

/* Process 1's way from the kernel to the guest's root. Ends the process, and with it the machine, if something does not work. */
void boot(int argc, char **argv);
/* Tells the console why, and ends the process. */
__attribute__((noreturn, format(printf, 1, 2))) void die(const char *format, ...);

/* What commands are put under; opened before the guest's programs could hide it, and -1 if there is none. */
extern int proc_folder;
extern int commands_group;
/* The bus of the machine's devices, if there is a network; -1 if not. */
extern int bus_folder;

/* Each serves a request whose first frame was read; ends the process if the host breaks the rules or is gone. */
void run_command(struct wire *wire, struct frame *first);
void put_files(struct wire *wire, struct frame *first);
void get_files(struct wire *wire, struct frame *first);
void join_network(struct wire *wire, struct frame *first);

/* Between these, drivers that are loaded get no devices. */
void hold_network_drivers(void);
void release_network_drivers(void);

/* The payload as a text, to be freed by the caller. */
char *text_of(const struct frame *frame);

#endif
