/*
 * How a function sandbox's guest waits for the host and calls functions (System V ABI, AMD64 supplement, 3.2). The numbers are those of struct
 * jkvm_page in jkvm-sandbox.c, where they are checked.
 */
#define NEXT      0x00
#define FUNCTION  0x08
#define VALUE     0x20
#define STACK_TOP 0x38
#define CATCH     0x50
#define INTS      0x80
#define FLOATS    0xb0
#define EXTRAS    0xf0
#define EXTRA     0x100

	.section .note.GNU-stack, "", @progbits

/* Tells the host where things are: see GuestImage. */
	.section .note.jkvm, "a", @note
	.balign 4
	.long 5, 2f - 1f, 1
	.asciz "jkvm"
	.balign 4
1:
	.quad 1                 /* version of all that guest and host agree on */
	.quad __start_jkvm_records, __stop_jkvm_records
	.quad __start_jkvm_exports, __stop_jkvm_exports
	.quad __start_jkvm_imports, __stop_jkvm_imports
	.quad jkvm_next, jkvm_next1, jkvm_next2, jkvm_next3, jkvm_next4, jkvm_next5, jkvm_next6, jkvm_next_any
2:

	.text
/* Calls what takes up to six whole numbers and gives at most one: the host enters where the first is loaded that the function takes. */
	.globl jkvm_go, jkvm_fail_now
jkvm_next6:
	movq %gs:INTS + 40, %r9
jkvm_next5:
	movq %gs:INTS + 32, %r8
jkvm_next4:
	movq %gs:INTS + 24, %rcx
jkvm_next3:
	movq %gs:INTS + 16, %rdx
jkvm_next2:
	movq %gs:INTS + 8, %rsi
jkvm_next1:
	movq %gs:INTS, %rdi
jkvm_next:
	call *%gs:FUNCTION
	movq %rax, %gs:VALUE
/* Waits for the host: the doorbell ends this processor's run, and with the next one it goes on here. It always rings with 0. */
jkvm_ring:
	xorl %eax, %eax
	outb %al, $0x10
/* Where a processor begins, too. */
jkvm_go:
	jmp *%gs:NEXT

/* Calls any function: with floating point, with arguments on the stack, or with a result that takes more than a register. */
jkvm_next_any:
	movq %gs:EXTRAS, %rcx
	/* The stack is at its top, whose address is a multiple of 16. */
	movq %rcx, %rax
	andq $1, %rax
	shlq $3, %rax
	subq %rax, %rsp
3:
	testq %rcx, %rcx
	jz 4f
	pushq %gs:EXTRA - 8(, %rcx, 8)
	decq %rcx
	jmp 3b
4:
	movq %gs:INTS + 40, %r9
	movq %gs:INTS + 32, %r8
	movq %gs:INTS + 24, %rcx
	movq %gs:INTS + 16, %rdx
	movq %gs:INTS + 8, %rsi
	movq %gs:INTS, %rdi
	movsd %gs:FLOATS, %xmm0
	movsd %gs:FLOATS + 8, %xmm1
	movsd %gs:FLOATS + 16, %xmm2
	movsd %gs:FLOATS + 24, %xmm3
	movsd %gs:FLOATS + 32, %xmm4
	movsd %gs:FLOATS + 40, %xmm5
	movsd %gs:FLOATS + 48, %xmm6
	movsd %gs:FLOATS + 56, %xmm7
	call *%gs:FUNCTION
	movq %gs:STACK_TOP, %rsp
	movq %rax, %rdi
	movq %rdx, %rsi
	movq %xmm0, %rdx
	call jkvm_give_result
	jmp jkvm_ring

/* A function of the host was called, of which r11 has the struct jkvm_import. */
	.globl jkvm_import_call
jkvm_import_call:
	pushq %rbp
	movq %rsp, %rbp
	subq $112, %rsp
	movq %rdi, (%rsp)
	movq %rsi, 8(%rsp)
	movq %rdx, 16(%rsp)
	movq %rcx, 24(%rsp)
	movq %r8, 32(%rsp)
	movq %r9, 40(%rsp)
	movsd %xmm0, 48(%rsp)
	movsd %xmm1, 56(%rsp)
	movsd %xmm2, 64(%rsp)
	movsd %xmm3, 72(%rsp)
	movsd %xmm4, 80(%rsp)
	movsd %xmm5, 88(%rsp)
	movsd %xmm6, 96(%rsp)
	movsd %xmm7, 104(%rsp)
	movq %r11, %rdi
	movq %rsp, %rsi
	leaq 16(%rbp), %rdx
	call jkvm_call_host
	/* Whichever of the three the caller looks at. */
	movq %rax, %xmm0
	leave
	ret

/* const char *jkvm_catch(void (*function)(void *), void *argument) */
	.globl jkvm_catch
jkvm_catch:
	pushq %rbp
	pushq %rbx
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	pushq %gs:CATCH
	movq %rsp, %gs:CATCH
	movq %rdi, %rax
	movq %rsi, %rdi
	call *%rax
	xorl %eax, %eax
5:
	popq %gs:CATCH
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbx
	popq %rbp
	ret

/* void jkvm_fail_now(const char *message): to the innermost jkvm_catch, or to the host. */
jkvm_fail_now:
	movq %rdi, %rax
	movq %gs:CATCH, %rcx
	testq %rcx, %rcx
	jz 6f
	movq %rcx, %rsp
	cld
	jmp 5b
6:
	movq %gs:STACK_TOP, %rsp
	cld
	call jkvm_give_error
	jmp jkvm_ring
