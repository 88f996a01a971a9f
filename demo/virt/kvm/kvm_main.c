// SPDX-License-Identifier: Apache-2.0
#include <linux/kvm_host.h>

#ifdef MODULE
/* What modpost writes into a module: the release that it belongs to. */
static const char modinfo[] __attribute__((section(".modinfo"), used)) =
	"license=GPL\0name=kvm\0vermagic=" UTS_RELEASE " SMP preempt mod_unload modversions ";
#endif

#define OUTSIDE_GUEST_MODE 0

static noinline bool kvm_vcpu_wake_up(struct kvm_vcpu *vcpu)
{
	kvm_make_request(KVM_REQ_UNHALT, vcpu);
	return wake_up_process(vcpu->task);
}

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12)
void kvm_vcpu_kick(struct kvm_vcpu *vcpu)
{
	if (vcpu->mode == OUTSIDE_GUEST_MODE)
		kvm_vcpu_wake_up(vcpu);
}
#else
bool kvm_vcpu_kick(struct kvm_vcpu *vcpu, bool wait)
{
	if (vcpu->mode != OUTSIDE_GUEST_MODE && !wait)
		return 0;
	return kvm_vcpu_wake_up(vcpu);
}
#endif
