/* SPDX-License-Identifier: MIT
 * The Limine boot protocol at base revision 2: what a kernel asks of its loader, and the answers.
 * Floor: arch, shared by the kernel and the loader shim.
 * A kernel defines each request once, as LIMINE_REQUEST, between one LIMINE_REQUESTS_START and
 * one LIMINE_REQUESTS_END; its linker script keeps the sections .limine_requests_start,
 * .limine_requests and .limine_requests_end in this order, in a writable segment.
 * The loader writes `response`, a virtual address; it stays null when it gives no answer.
 * All answers lie in memory of type LIMINE_BOOTLOADER_RECLAIMABLE.
 * Source: the protocol's published constants; SPEC BM-3, BM-4; ARCHITECTURE R17. */
#ifndef X86_64_LIMINE_LIMINE_H
#define X86_64_LIMINE_LIMINE_H

#include <stdint.h>

#define LIMINE_BASE_REVISION 2u

#define LIMINE_REQUEST                                                                             \
    __attribute__((used, aligned(8), section(".limine_requests"))) static volatile
#define LIMINE_AT_START_                                                                           \
    __attribute__((used, aligned(8), section(".limine_requests_start"))) static volatile
#define LIMINE_AT_END_                                                                             \
    __attribute__((used, aligned(8), section(".limine_requests_end"))) static volatile

/* The loader looks for requests between these two only. */
#define LIMINE_START_MARK                                                                          \
    {                                                                                              \
        0xf6b8f4b39de7d1aeull, 0xfab91a6940fcb9cfull, 0x785c6ed015d3e316ull, 0x181e920a7852b9d9ull \
    }
#define LIMINE_END_MARK                                                                            \
    {                                                                                              \
        0xadc0e0531bb10d03ull, 0x9572709f31764c62ull                                               \
    }
#define LIMINE_REQUESTS_START(name) LIMINE_AT_START_ uint64_t name[4] = LIMINE_START_MARK
#define LIMINE_REQUESTS_END(name) LIMINE_AT_END_ uint64_t name[2] = LIMINE_END_MARK

/* LIMINE_BASE_TAG(tag): the loader writes 0 over tag[2] when it speaks this base revision. */
#define LIMINE_BASE_TAG_MAGIC 0xf9562b2d5c95a6c8ull, 0x6a7b384944536bdcull
#define LIMINE_BASE_TAG(name)                                                                      \
    LIMINE_REQUEST uint64_t name[3] = {LIMINE_BASE_TAG_MAGIC, LIMINE_BASE_REVISION}

#define LIMINE_MAGIC 0xc7b1dd30df4c8b88ull, 0x0a82e883a194f07bull
#define LIMINE_ID_(a, b)                                                                           \
    {                                                                                              \
        LIMINE_MAGIC, a, b                                                                         \
    }
#define LIMINE_BOOTLOADER_INFO_ID LIMINE_ID_(0xf55038d8e2a1202full, 0x279426fcf5f59740ull)
#define LIMINE_HHDM_ID LIMINE_ID_(0x48dcf1cb8ad2b852ull, 0x63984e959a98244bull)
#define LIMINE_MEMMAP_ID LIMINE_ID_(0x67cf3d9d378a806full, 0xe304acdfc50c3c62ull)
#define LIMINE_SMP_ID LIMINE_ID_(0x95a67b819a1b857eull, 0xa0b61b723b6a73e0ull)
#define LIMINE_KERNEL_ADDRESS_ID LIMINE_ID_(0x71ba76863cc55f63ull, 0xb2644a48c516a487ull)
#define LIMINE_KERNEL_FILE_ID LIMINE_ID_(0xad97e90e83f1ed67ull, 0x31eb5d1c5ff23b69ull)
#define LIMINE_MODULES_ID LIMINE_ID_(0x3e7e279702be32afull, 0xca1c4f3bd1280ceeull)
#define LIMINE_RSDP_ID LIMINE_ID_(0xc5e77b6b397e7b43ull, 0x27637845accdcf3cull)
#define LIMINE_STACK_SIZE_ID LIMINE_ID_(0x224ef0460a8e8926ull, 0xe1cb0fc25f46ea3dull)
#define LIMINE_PAGING_MODE_ID LIMINE_ID_(0x95c1a0edab0944cbull, 0xa4e5cb3842f7488aull)
#define LIMINE_ENTRY_POINT_ID LIMINE_ID_(0x13d86c035a1cd3e1ull, 0x2b0caa89d8f3026aull)
#define LIMINE_BOOT_TIME_ID LIMINE_ID_(0x502746e184c088aaull, 0xfbc5ec83e6327893ull)

/* What every request begins with, and every response. */
typedef struct limine_request {
    uint64_t id[4];
    uint64_t revision;
    void *response;
} limine_request_t;

#define LIMINE_REQUEST_OF(name)                                                                    \
    typedef struct limine_##name##_request {                                                       \
        uint64_t id[4];                                                                            \
        uint64_t revision;                                                                         \
        limine_##name##_response_t *response;                                                      \
    } limine_##name##_request_t

typedef struct limine_bootloader_info_response {
    uint64_t revision;
    char *name;
    char *version;
} limine_bootloader_info_response_t;
LIMINE_REQUEST_OF(bootloader_info);

/* Physical address p is at offset + p: 0 to 4 GiB, and all memory that is not reserved. */
typedef struct limine_hhdm_response {
    uint64_t revision;
    uint64_t offset;
} limine_hhdm_response_t;
LIMINE_REQUEST_OF(hhdm);

/* Sorted by base; usable and reclaimable entries are page aligned and overlap nothing; the
 * first page is never usable. */
enum limine_memmap_type {
    LIMINE_USABLE,
    LIMINE_RESERVED,
    LIMINE_ACPI_RECLAIMABLE,
    LIMINE_ACPI_NVS,
    LIMINE_BAD_MEMORY,
    LIMINE_BOOTLOADER_RECLAIMABLE,
    LIMINE_KERNEL_AND_MODULES,
    LIMINE_FRAMEBUFFER,
};

typedef struct limine_memmap_entry {
    uint64_t base;
    uint64_t length;
    uint64_t type;
} limine_memmap_entry_t;

typedef struct limine_memmap_response {
    uint64_t revision;
    uint64_t entry_count;
    limine_memmap_entry_t **entries;
} limine_memmap_response_t;
LIMINE_REQUEST_OF(memmap);

/* A waiting CPU that sees goto_address jumps there, on its own stack of 64 KiB or more, with
 * the address of this record as its argument. The CPU that runs the kernel is in the list. */
typedef struct limine_smp_info {
    uint32_t processor_id; /* of ACPI */
    uint32_t lapic_id;
    uint64_t reserved;
    void (*goto_address)(struct limine_smp_info *);
    uint64_t extra_argument; /* the kernel's own */
} limine_smp_info_t;

#define LIMINE_SMP_X2APIC 1u /* of both flags: wanted; is on */

typedef struct limine_smp_response {
    uint64_t revision;
    uint32_t flags;
    uint32_t bsp_lapic_id;
    uint64_t cpu_count;
    limine_smp_info_t **cpus;
} limine_smp_response_t;

typedef struct limine_smp_request {
    uint64_t id[4];
    uint64_t revision;
    limine_smp_response_t *response;
    uint64_t flags;
} limine_smp_request_t;

typedef struct limine_kernel_address_response {
    uint64_t revision;
    uint64_t physical_base;
    uint64_t virtual_base;
} limine_kernel_address_response_t;
LIMINE_REQUEST_OF(kernel_address);

typedef struct limine_uuid {
    uint32_t a;
    uint16_t b;
    uint16_t c;
    uint8_t d[8];
} limine_uuid_t;

typedef struct limine_file {
    uint64_t revision;
    void *address; /* the whole file */
    uint64_t size;
    char *path;
    char *cmdline;
    uint32_t media_type;
    uint32_t unused;
    uint32_t tftp_ip;
    uint32_t tftp_port;
    uint32_t partition_index;
    uint32_t mbr_disk_id;
    limine_uuid_t gpt_disk_uuid;
    limine_uuid_t gpt_part_uuid;
    limine_uuid_t part_uuid;
} limine_file_t;

typedef struct limine_kernel_file_response {
    uint64_t revision;
    limine_file_t *kernel_file;
} limine_kernel_file_response_t;
LIMINE_REQUEST_OF(kernel_file);

typedef struct limine_modules_response {
    uint64_t revision;
    uint64_t module_count;
    limine_file_t **modules;
} limine_modules_response_t;
LIMINE_REQUEST_OF(modules);

/* Virtual at base revision 2; other revisions give a physical address. */
typedef struct limine_rsdp_response {
    uint64_t revision;
    void *address;
} limine_rsdp_response_t;
LIMINE_REQUEST_OF(rsdp);

typedef struct limine_stack_size_response {
    uint64_t revision;
} limine_stack_size_response_t;

typedef struct limine_stack_size_request {
    uint64_t id[4];
    uint64_t revision;
    limine_stack_size_response_t *response;
    uint64_t stack_size;
} limine_stack_size_request_t;

#define LIMINE_PAGING_4_LEVEL 0u
#define LIMINE_PAGING_5_LEVEL 1u

typedef struct limine_paging_mode_response {
    uint64_t revision;
    uint64_t mode;
} limine_paging_mode_response_t;

typedef struct limine_paging_mode_request {
    uint64_t id[4];
    uint64_t revision;
    limine_paging_mode_response_t *response;
    uint64_t mode;
    uint64_t max_mode; /* these two from revision 1 on */
    uint64_t min_mode;
} limine_paging_mode_request_t;

typedef struct limine_entry_point_response {
    uint64_t revision;
} limine_entry_point_response_t;

typedef struct limine_entry_point_request {
    uint64_t id[4];
    uint64_t revision;
    limine_entry_point_response_t *response;
    void (*entry)(void);
} limine_entry_point_request_t;

typedef struct limine_boot_time_response {
    uint64_t revision;
    int64_t boot_time; /* seconds since 1970 */
} limine_boot_time_response_t;
LIMINE_REQUEST_OF(boot_time);

#define LIMINE_IS_(type, field, at)                                                                \
    _Static_assert(__builtin_offsetof(type, field) == (at), "the protocol's layout")
LIMINE_IS_(limine_request_t, response, 40);
LIMINE_IS_(limine_smp_info_t, goto_address, 16);
LIMINE_IS_(limine_smp_info_t, extra_argument, 24);
LIMINE_IS_(limine_smp_response_t, cpu_count, 16);
LIMINE_IS_(limine_file_t, cmdline, 32);
LIMINE_IS_(limine_file_t, gpt_disk_uuid, 64);

#endif
