// SPDX-License-Identifier: Apache-2.0
#include <linux/kvm_host.h>

static void kick(struct kvm_vcpu *vcpu)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12)
	kvm_vcpu_kick(vcpu);
#else
	kvm_vcpu_kick(vcpu, 1);
#endif
}

void kvm_set_irq(struct kvm_vcpu *vcpu)
{
	kvm_make_request(KVM_REQ_EVENT, vcpu);
	kick(vcpu);
	vcpu->mode++;
}
