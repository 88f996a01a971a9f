/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEMO_LINUX_KVM_HOST_H
#define DEMO_LINUX_KVM_HOST_H

#include <linux/sched.h>

#define KVM_REQ_UNHALT 0
#define KVM_REQ_EVENT 1

struct kvm_vcpu {
	struct task_struct *task;
	unsigned long requests;
	int mode;
};

/* Inlined into every caller: a function that no probe can find by its symbol. */
static inline void kvm_make_request(int req, struct kvm_vcpu *vcpu)
{
	__atomic_fetch_or(&vcpu->requests, 1UL << req, __ATOMIC_RELEASE);
}

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12)
void kvm_vcpu_kick(struct kvm_vcpu *vcpu);
#else
bool kvm_vcpu_kick(struct kvm_vcpu *vcpu, bool wait);
#endif

#endif
