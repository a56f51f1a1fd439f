// relay_uring.c: the floor with io_uring instead of epoll, to see what another driver could save. One thread.
//   relay_uring LISTEN_PORT BACKEND_HOST:PORT[,HOST:PORT...]
// Multishot accept and receive into one ring of provided buffers, registered files, deferred task work. A send is
// tried once while it is submitted (MSG_DONTWAIT) and completes only if it did not take all; its buffer goes back
// after that. The same work as relay.c: no timeouts, no health, no logs, no parsing.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "backends.h"

#define ENTRIES 2048
#define FILES 65536
#define BUFFERS 1024
#define BUF (16 * 1024)
enum { ACCEPT, RECV, SEND, PARKED };   // what a completion is of: the low bits of its user_data
struct half {                          // one direction's source socket
  struct half *peer;
  char *kept, *more;                   // what the peer did not take at once; what has come since
  size_t off, len, nmore;
  char *bytes;                         // what it is being sent, in a buffer of the ring
  size_t sending;
  int fd, parked, eof, shut, dead, armed;
  unsigned batch;                      // when the peer was last sent to
};
static int ring, ring_fd;
static unsigned *sq_tail, sq_mask, *cq_head, *cq_tail, cq_mask, queued, batch = 1;
static struct io_uring_sqe *sqes;
static struct io_uring_cqe *cqes;
static struct io_uring_buf_ring *buffers;
static char *memory;
static unsigned short given, lent[4 * ENTRIES];
static unsigned nlent, nseen;
static struct io_uring_cqe seen[16 * ENTRIES];  // completions of accepts and receives, in their order

static void check(long result, const char *what) {
  if (result < 0) { perror(what); exit(1); }
}
static void enter(unsigned wait) {
  int n;
  do n = syscall(SYS_io_uring_enter, ring, queued, wait, IORING_ENTER_GETEVENTS | IORING_ENTER_REGISTERED_RING, 0, 0);
  while (n < 0 && errno == EINTR);
  check(n, "io_uring_enter");
  queued -= n;
  batch++;
}
static void flush(void);
static struct io_uring_sqe *entry(int op, int fd, void *who, int kind) {
  if (queued == ENTRIES) flush();
  struct io_uring_sqe *e = &sqes[*sq_tail & sq_mask];
  memset(e, 0, sizeof *e);
  e->opcode = op;
  e->fd = fd;
  e->user_data = (uintptr_t)who | kind;
  atomic_store_explicit((_Atomic unsigned *)sq_tail, *sq_tail + 1, memory_order_release);
  queued++;
  return e;
}
static void give_back(int id) {
  struct io_uring_buf *b = &buffers->bufs[given++ & (BUFFERS - 1)];
  b->addr = (uintptr_t)(memory + (size_t)id * BUF);
  b->len = BUF;
  b->bid = id;
}
static void publish(void) { atomic_store_explicit((_Atomic unsigned short *)&buffers->tail, given, memory_order_release); }

static void arm(struct half *h) {
  struct io_uring_sqe *e = entry(IORING_OP_RECV, h->fd, h, RECV);
  e->flags = IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT;
  e->ioprio = IORING_RECV_MULTISHOT;
  e->buf_group = 0;
  h->armed = 1;
}
static void register_file(int slot, int fd) {
  struct io_uring_files_update u = {.offset = slot, .fds = (uintptr_t)&fd};
  check(syscall(SYS_io_uring_register, ring_fd, IORING_REGISTER_FILES_UPDATE, &u, 1), "files update");
}
static void let_go(struct half *h) {
  struct half *p = h->peer;
  if (h->armed || h->parked || p->armed || p->parked) return;
  free(h->kept); free(h->more);
  free(p->kept); free(p->more);
  free(h); free(p);
}
static void kill_pair(struct half *h) {
  if (h->dead) return;
  if (queued) flush();                 // what is queued names their slots
  struct half *both[2] = {h, h->peer};
  for (int i = 0; i < 2; i++) {
    both[i]->dead = 1;
    shutdown(both[i]->fd, SHUT_RDWR);  // ends the receive that is armed
    register_file(both[i]->fd, -1);
    close(both[i]->fd);
  }
}
static void finish(struct half *h) {   // h has no more to give and nothing is kept
  if (!h->shut) {
    if (queued) flush();
    if (h->len || h->shut) return;     // what was not taken at once goes first, and ends it then
    h->shut = 1;
    shutdown(h->peer->fd, SHUT_WR);
  }
  if (h->peer->shut) kill_pair(h);
}
static void park(struct half *h) {
  struct io_uring_sqe *e = entry(IORING_OP_SEND, h->peer->fd, h, PARKED);
  e->flags = IOSQE_FIXED_FILE;
  e->addr = (uintptr_t)(h->kept + h->off);
  e->len = h->len;
  e->msg_flags = MSG_NOSIGNAL | MSG_WAITALL;
  h->parked = 1;
}
static void keep(struct half *h, const char *bytes, size_t n) {
  h->more = realloc(h->more, h->nmore + n);  // not `kept`: the kernel may be reading that
  memcpy(h->more + h->nmore, bytes, n);
  h->nmore += n;
}
static void go_on(struct half *h) {
  if (!h->len && h->nmore) {
    free(h->kept);
    h->kept = h->more;
    h->off = 0;
    h->len = h->nmore;
    h->more = 0;
    h->nmore = 0;
  }
  if (h->len) park(h);
  else if (h->eof) finish(h);
}
static void sent(struct half *h, int kind, int res) {
  if (kind == SEND) {                  // it completes only where it took less than all
    if (h->dead) return;
    if (res < 0 && res != -EAGAIN) { kill_pair(h); return; }
    size_t done = res < 0 ? 0 : res;
    keep(h, h->bytes + done, h->sending - done);
    go_on(h);
    return;
  }
  h->parked = 0;
  if (!h->dead && res < 0) kill_pair(h);
  if (h->dead) { let_go(h); return; }
  h->off += res;
  h->len -= res;
  go_on(h);
}
static void drain(void) {
  while (*cq_head != atomic_load_explicit((_Atomic unsigned *)cq_tail, memory_order_acquire)) {
    struct io_uring_cqe c = cqes[*cq_head & cq_mask];
    atomic_store_explicit((_Atomic unsigned *)cq_head, *cq_head + 1, memory_order_release);
    int kind = c.user_data & 7;
    if (kind == SEND || kind == PARKED) { sent((void *)(uintptr_t)(c.user_data & ~7ULL), kind, c.res); continue; }
    if (nseen == sizeof seen / sizeof *seen) { fprintf(stderr, "too many completions\n"); exit(1); }
    seen[nseen++] = c;
  }
}
static void hand_over(unsigned wait) {  // after this all that was queued is sent, parked or kept
  unsigned n = nlent;
  enter(wait);
  drain();
  for (unsigned i = 0; i < n; i++) give_back(lent[i]);
  memmove(lent, lent + n, (nlent - n) * sizeof *lent);
  nlent -= n;
  publish();
}
static void flush(void) { hand_over(0); }
int main(int argc, char **argv) {
  if (argc < 3) { fprintf(stderr, "relay_uring PORT HOST:PORT[,...]\n"); return 2; }
  signal(SIGPIPE, SIG_IGN);
  struct rlimit rl;
  getrlimit(RLIMIT_NOFILE, &rl);
  rl.rlim_cur = rl.rlim_max;
  setrlimit(RLIMIT_NOFILE, &rl);
  struct sockaddr_in back[BACKENDS];
  int nback = backends_of(argv[2], back), next = 0, one = 1;
  int s = socket(AF_INET, SOCK_STREAM, 0);
  setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);  // whoever is accepted has it as well
  struct sockaddr_in la = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
  if (bind(s, (void *)&la, sizeof la) || listen(s, 65535)) { perror("listen"); return 1; }

  struct io_uring_params p = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE,
                              .cq_entries = 4 * ENTRIES};
  int fd = ring = ring_fd = syscall(SYS_io_uring_setup, ENTRIES, &p);
  check(ring, "io_uring_setup");
  size_t size = p.sq_off.array + p.sq_entries * sizeof(unsigned), cq = p.cq_off.cqes + p.cq_entries * sizeof *cqes;
  char *q = mmap(0, size > cq ? size : cq, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, IORING_OFF_SQ_RING);
  sqes = mmap(0, p.sq_entries * sizeof *sqes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, IORING_OFF_SQES);
  if (q == MAP_FAILED || sqes == MAP_FAILED) { perror("mmap"); return 1; }
  sq_tail = (unsigned *)(q + p.sq_off.tail);
  sq_mask = p.sq_entries - 1;
  for (unsigned i = 0; i < p.sq_entries; i++) ((unsigned *)(q + p.sq_off.array))[i] = i;
  cq_head = (unsigned *)(q + p.cq_off.head);
  cq_tail = (unsigned *)(q + p.cq_off.tail);
  cq_mask = p.cq_entries - 1;
  cqes = (struct io_uring_cqe *)(q + p.cq_off.cqes);
  struct io_uring_rsrc_update own = {.offset = -1U, .data = fd};
  check(syscall(SYS_io_uring_register, fd, IORING_REGISTER_RING_FDS, &own, 1), "ring fd");
  ring = own.offset;
  struct io_uring_rsrc_register table = {.nr = rl.rlim_max < FILES ? rl.rlim_max : FILES, .flags = IORING_RSRC_REGISTER_SPARSE};
  check(syscall(SYS_io_uring_register, fd, IORING_REGISTER_FILES2, &table, sizeof table), "files");
  buffers = mmap(0, BUFFERS * sizeof(struct io_uring_buf), PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE | MAP_POPULATE, -1, 0);
  memory = mmap(0, (size_t)BUFFERS * BUF, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
  struct io_uring_buf_reg reg = {.ring_addr = (uintptr_t)buffers, .ring_entries = BUFFERS, .bgid = 0};
  check(syscall(SYS_io_uring_register, fd, IORING_REGISTER_PBUF_RING, &reg, 1), "buffers");
  for (int i = 0; i < BUFFERS; i++) give_back(i);
  publish();
  entry(IORING_OP_ACCEPT, s, 0, ACCEPT)->ioprio = IORING_ACCEPT_MULTISHOT;

  for (;;) {
    nseen = 0;
    hand_over(1);
    for (unsigned i = 0; i < nseen; i++) {
      struct half *h = (void *)(uintptr_t)(seen[i].user_data & ~7ULL);
      int kind = seen[i].user_data & 7, res = seen[i].res;
      if (kind == ACCEPT) {
        if (!(seen[i].flags & IORING_CQE_F_MORE)) entry(IORING_OP_ACCEPT, s, 0, ACCEPT)->ioprio = IORING_ACCEPT_MULTISHOT;
        if (res < 0) continue;
        int b = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        setsockopt(b, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (connect(b, (void *)&back[next], sizeof back[0]) && errno != EINPROGRESS) { close(b); close(res); continue; }
        next = (next + 1) % nback;
        struct half *x = calloc(1, sizeof *x), *y = calloc(1, sizeof *y);
        x->fd = res; y->fd = b; x->peer = y; y->peer = x;
        register_file(x->fd, x->fd);
        register_file(y->fd, y->fd);
        arm(x);
        arm(y);
        continue;
      }
      int buffer = seen[i].flags & IORING_CQE_F_BUFFER ? (int)(seen[i].flags >> IORING_CQE_BUFFER_SHIFT) : -1;
      if (!(seen[i].flags & IORING_CQE_F_MORE)) h->armed = 0;
      if (h->dead || (res <= 0 && res != -ENOBUFS)) {
        if (res == 0 && !h->dead) {
          h->eof = 1;
          if (!h->len) finish(h);
        } else kill_pair(h);
        if (buffer >= 0) lent[nlent++] = buffer;
        if (h->dead) let_go(h);
        continue;
      }
      if (!h->armed) arm(h);
      if (res < 0) continue;
      char *bytes = memory + (size_t)buffer * BUF;
      if (h->batch == batch) flush();                      // one send in each batch, else their order is lost
      if (h->len) keep(h, bytes, res);                     // what is parked goes first
      else {
        struct io_uring_sqe *e = entry(IORING_OP_SEND, h->peer->fd, h, SEND);
        e->flags = IOSQE_FIXED_FILE | IOSQE_CQE_SKIP_SUCCESS;
        e->addr = (uintptr_t)bytes;
        e->len = res;
        e->msg_flags = MSG_NOSIGNAL | MSG_DONTWAIT | MSG_WAITALL;
        h->bytes = bytes;
        h->sending = res;
        h->batch = batch;
      }
      lent[nlent++] = buffer;
    }
  }
}
