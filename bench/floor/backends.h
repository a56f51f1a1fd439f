// backends.h: HOST:PORT[,HOST:PORT...] of the command line, as both relays take it.
#pragma once
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define BACKENDS 64

// Fills `back` with the addresses named in `list` (which it cuts up) and says how many there are.
static int backends_of(char *list, struct sockaddr_in back[BACKENDS]) {
  int n = 0;
  for (char *t = strtok(list, ","); t && n < BACKENDS; t = strtok(0, ",")) {
    char *c = strchr(t, ':');
    *c = 0;
    memset(&back[n], 0, sizeof back[0]);
    back[n].sin_family = AF_INET;
    back[n].sin_port = htons(atoi(c + 1));
    inet_pton(AF_INET, t, &back[n].sin_addr);
    n++;
  }
  return n;
}
