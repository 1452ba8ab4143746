/* A program without a library to interpose: connects to 127.0.0.1 or ::1 and prints what the server says first. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv) {
  struct sockaddr_in four = { .sin_family = AF_INET };
  struct sockaddr_in6 six = { .sin6_family = AF_INET6 };
  char buffer[256];
  ssize_t bytes;
  if (argc != 3) return 2;
  int ipv6 = strchr(argv[1], ':') != NULL;
  four.sin_port = six.sin6_port = htons((unsigned short)atoi(argv[2]));
  inet_pton(ipv6 ? AF_INET6 : AF_INET, argv[1], ipv6 ? (void *)&six.sin6_addr : (void *)&four.sin_addr);
  int fd = socket(ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM, 0);
  if (connect(fd, ipv6 ? (void *)&six : (void *)&four, ipv6 ? sizeof six : sizeof four) != 0) {
    perror("connect");
    return 1;
  }
  while ((bytes = read(fd, buffer, sizeof buffer)) > 0) fwrite(buffer, 1, (size_t)bytes, stdout);
  return 0;
}
