/* Sends connect() to a listener of conmgr on the loopback address straight to a server.
 *
 * routes: filled by conmgr-helper; what is not in it, or no longer valid, is connected as the program asked, that is
 * to conmgr itself. sessions: which listener a socket came by. Every program returns 1: 0 would be EPERM.
 * Self-contained on purpose: no header of the kernel or of libbpf is needed to build it, no BTF to load it. */
typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;

#define SECTION(name) __attribute__((section(name), used))
#define inline_always static inline __attribute__((always_inline))
#define port_of(big_endian) (__builtin_bswap16((__u16)(big_endian)))

/* struct bpf_sock_addr of linux/bpf.h, as far as it is used. */
struct sock_addr {
  __u32 user_family, user_ip4, user_ip6[4], user_port, family, type, protocol;
};

/* How the loader makes the maps: linux/bpf.h, BPF_MAP_CREATE. */
struct map { __u32 type, key_size, value_size, max_entries, flags; };
enum { HASH = 1, LRU_HASH = 9, NO_PREALLOC = 1 };
enum { SOCK_STREAM = 1, IPPROTO_TCP = 6, MOST_DESTINATIONS = 8 };

/* Layouts: src/core/redirect/route.ts has the same. */
struct route_key { __u64 namespace; __u32 port, zero; };
struct destination { __u32 address[4], port; };               /* network order; IPv4 as ::ffff:a.b.c.d */
struct route {
  __u64 valid_until;                                          /* CLOCK_MONOTONIC, ns */
  __u32 port, count;                                          /* port: that of the key, host order */
  struct destination to[MOST_DESTINATIONS];
};

struct map SECTION("maps") routes = { HASH, sizeof(struct route_key), sizeof(struct route), 256, NO_PREALLOC };
struct map SECTION("maps") sessions = { LRU_HASH, sizeof(__u64), sizeof(__u32), 65536, 0 };

static void *(*const lookup)(void *map, const void *key) = (void *)1;
static long (*const update)(void *map, const void *key, const void *value, __u64 flags) = (void *)2;
static long (*const delete)(void *map, const void *key) = (void *)3;
static __u64 (*const monotonic_ns)(void) = (void *)5;
static __u32 (*const random_number)(void) = (void *)7;
static __u64 (*const socket_cookie)(void *context) = (void *)46;
static __u64 (*const namespace_cookie)(void *context) = (void *)122;

inline_always int is_mapped(const __u32 *address) {
  return address[0] == 0 && address[1] == 0 && address[2] == __builtin_bswap32(0xffff);
}

/* Chooses a destination for this connect() and notes the listener; 0: there is none. */
inline_always int choose(struct sock_addr *context, int ipv4_only, struct destination *chosen) {
  struct route_key key = { namespace_cookie(context), port_of(context->user_port), 0 };
  struct route *route;

  if (context->type != SOCK_STREAM || context->protocol != IPPROTO_TCP) return 0;
  route = lookup(&routes, &key);
  if (!route || route->valid_until <= monotonic_ns()) return 0;
  __u32 count = route->count, first = random_number();
  if (count == 0 || count > MOST_DESTINATIONS) return 0;
  for (__u32 i = 0; i < MOST_DESTINATIONS; i++) {
    __u64 index = (first + i) % count;
    if (i >= count) return 0;
    asm("" : "+r"(index));                                    /* for the verifier: the next line has to stay */
    *chosen = route->to[index & (MOST_DESTINATIONS - 1)];
    if (ipv4_only && !is_mapped(chosen->address)) continue;
    /* The memory of a route that was replaced meanwhile may hold another one already. */
    if (*(volatile __u32 *)&route->port != key.port) return 0;
    __u64 cookie = socket_cookie(context);
    update(&sessions, &cookie, &key.port, 0);
    return 1;
  }
  return 0;
}

int SECTION("cgroup/connect4") connect4(struct sock_addr *context) {
  struct destination to;
  if (context->user_ip4 != __builtin_bswap32(0x7f000001) || !choose(context, 1, &to)) return 1;
  context->user_ip4 = to.address[3];
  context->user_port = to.port;
  return 1;
}

int SECTION("cgroup/connect6") connect6(struct sock_addr *context) {
  struct destination to;
  __u32 address[4] = { context->user_ip6[0], context->user_ip6[1], context->user_ip6[2], context->user_ip6[3] };
  int loopback = address[0] == 0 && address[1] == 0 && address[2] == 0 && address[3] == __builtin_bswap32(1);
  int mapped = is_mapped(address) && address[3] == __builtin_bswap32(0x7f000001);
  if ((!loopback && !mapped) || !choose(context, 0, &to)) return 1;
  for (int i = 0; i < 4; i++) context->user_ip6[i] = to.address[i];
  context->user_port = to.port;
  return 1;
}

int SECTION("cgroup/sock_release") sock_release(void *context) {
  __u64 cookie = socket_cookie(context);
  delete(&sessions, &cookie);
  return 1;
}

char SECTION("license") name_of_license[] = "Apache-2.0";
