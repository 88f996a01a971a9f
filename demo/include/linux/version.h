/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEMO_LINUX_VERSION_H
#define DEMO_LINUX_VERSION_H

/* The Makefile defines LINUX_VERSION_CODE, in these terms, and UTS_RELEASE. */
#define KERNEL_VERSION(major, minor) (((major) << 16) | ((minor) << 8))

#endif
