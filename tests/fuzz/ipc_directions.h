/*
 * All pairs that hold a channel; the first byte of a seed of fuzz_ipc picks one of them.
 */
#ifndef TESTS_FUZZ_IPC_DIRECTIONS_H
#define TESTS_FUZZ_IPC_DIRECTIONS_H

#include "ipc/roles.h"

struct ipc_direction {
	enum ipc_role from, to;
};

static const struct ipc_direction ipc_directions[] = {
    {IPC_SUPERVISOR, IPC_KEEPER},  {IPC_SUPERVISOR, IPC_RELAY},   {IPC_SUPERVISOR, IPC_CONSOLE},
    {IPC_SUPERVISOR, IPC_COURIER}, {IPC_KEEPER, IPC_SUPERVISOR},  {IPC_RELAY, IPC_SUPERVISOR},
    {IPC_CONSOLE, IPC_SUPERVISOR}, {IPC_COURIER, IPC_SUPERVISOR}, {IPC_KEEPER, IPC_RELAY},
    {IPC_KEEPER, IPC_CONSOLE},     {IPC_KEEPER, IPC_COURIER},     {IPC_KEEPER, IPC_CONTROL},
    {IPC_RELAY, IPC_KEEPER},       {IPC_CONSOLE, IPC_KEEPER},     {IPC_COURIER, IPC_KEEPER},
    {IPC_CONTROL, IPC_KEEPER},
};

enum { IPC_DIRECTIONS = sizeof ipc_directions / sizeof ipc_directions[0] };

#endif
