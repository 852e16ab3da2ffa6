/* Copyright (c) k8s4r.robot contributors
 * GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Lets User-mode Linux run on processors with more registers than it knows.
 *
 * Before Linux 6.13 it has room for the state of AVX-512, and no more. Where the processor has AMX, the host's kernel takes a program's
 * state back whole or not at all (EFAULT), and the guest's kernel panics: "ptrace set fp regs failed, errno = 14". This library is loaded
 * before libc and hands back the rest too, as zeros: registers that no program of the guest can have asked for.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>

/* Bytes. AMX makes it 11008. */
#define MOST 65536

typedef long Ptrace(enum __ptrace_request, pid_t, void *, void *);

long ptrace(enum __ptrace_request request, ...)
{
	static Ptrace *real;
	static size_t whole;
	static char state[MOST];
	va_list rest;
	pid_t process;
	void *address, *data;

	va_start(rest, request);
	process = va_arg(rest, pid_t);
	address = va_arg(rest, void *);
	data = va_arg(rest, void *);
	va_end(rest);
	if (!real)
		real = (Ptrace *)dlsym(RTLD_NEXT, "ptrace");
	if (request == PTRACE_SETREGSET && (unsigned long)address == NT_X86_XSTATE) {
		struct iovec *given = data, all = {state, MOST};

		if (!whole && !real(PTRACE_GETREGSET, process, address, &all))
			whole = all.iov_len;
		if (given->iov_len < whole) {
			memset(state, 0, whole);
			memcpy(state, given->iov_base, given->iov_len);
			all.iov_len = whole;
			return real(request, process, address, &all);
		}
	}
	return real(request, process, address, data);
}
