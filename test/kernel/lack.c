/* Runs a program on a kernel that seems to lack something: lack bpf|bpf-right|sock_diag COMMAND... */
#include <errno.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define SKIP_UNLESS(value, count) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, count)
#define RETURN(value) BPF_STMT(BPF_RET | BPF_K, value)

int main(int argc, char **argv) {
  int error = argc > 2 && strcmp(argv[1], "bpf-right") == 0 ? EPERM : ENOSYS;
  struct sock_filter no_bpf[] = {
    LOAD(nr), SKIP_UNLESS(__NR_bpf, 1), RETURN(SECCOMP_RET_ERRNO | error), RETURN(SECCOMP_RET_ALLOW),
  };
  struct sock_filter no_sock_diag[] = {
    LOAD(nr), SKIP_UNLESS(__NR_socket, 5), LOAD(args[0]), SKIP_UNLESS(AF_NETLINK, 3),
    LOAD(args[2]), SKIP_UNLESS(NETLINK_SOCK_DIAG, 1), RETURN(SECCOMP_RET_ERRNO | EPROTONOSUPPORT),
    RETURN(SECCOMP_RET_ALLOW),
  };
  struct sock_fprog bpf = { sizeof no_bpf / sizeof *no_bpf, no_bpf };
  struct sock_fprog sock_diag = { sizeof no_sock_diag / sizeof *no_sock_diag, no_sock_diag };
  if (argc < 3) return 2;
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, strcmp(argv[1], "sock_diag") == 0 ? &sock_diag : &bpf) != 0) {
    perror("seccomp");
    return 2;
  }
  execvp(argv[2], argv + 2);
  perror(argv[2]);
  return 127;
}
