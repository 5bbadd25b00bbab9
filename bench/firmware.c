/* A fast firmware on a pty, to measure hosts with: Marlin's reading of lines, numbers and checksums, its queue of four,
   a receive buffer that loses what does not fit, a planner of 16 moves, ADVANCED_OK, a wire of a given speed, and faults.

   firmware LINK [--baud N] [--advanced] [--ring BYTES] [--parse SECONDS] [--move SECONDS] [--corrupt SHARE]
            [--double SHARE] [--lose N,N,...] [--seed N] [--record FILE]

   Without --baud every byte arrives at once. --parse is what each command costs, --move how long each G0/G1 takes to be
   driven. --lose: the ok of so many-th moves is not said. One line of JSON goes to stderr at SIGUSR1, which also begins
   to count anew, and at the end. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { SLOTS = 4, BLOCKS = 16, KEPT = 95, IN = 1 << 17, OUT = 4096, LOSSES = 32 };

static double byte_time, parse_time, move_time, corrupt_share, double_share;
static int advanced, ring_size = 128, master, losses;
static long lose[LOSSES];
static unsigned long long seed = 1;
static FILE *record;

/* What is counted. */
static long lines, moves, bytes_in, refused, lost_bytes, starved, peak;
static double first_move, last_move;
static long first_bytes, last_bytes;

/* From the host: bytes with the time at which each has arrived. */
static struct { char byte; double due; } in[IN];
static long in_head, in_tail, line_start;
static double wire_in;

static char ring[4096], partial[KEPT + 1];
static int ring_length, partial_length;
static long last_line;

static struct { char text[KEPT + 1]; long number; double arrived; } queue[SLOTS];
static int queued;
static double free_at, block_end[BLOCKS];
static int blocks, filled;
static long all_moves;

/* To the host: whole lines with the time at which the last byte has left. */
static struct { char text[160]; int length; double due; } out[OUT];
static int out_head, out_tail;
static double wire_out;
static volatile sig_atomic_t asked, ended;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

static double chance(void) {
  seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
  return (seed >> 11) * (1.0 / 9007199254740992.0);
}

static void report(void) {
  double seconds = last_move - first_move;
  fprintf(stderr,
          "{\"lines\":%ld,\"moves\":%ld,\"bytes\":%ld,\"refused\":%ld,\"lost_bytes\":%ld,\"starved\":%ld,\"peak\":%ld,"
          "\"seconds\":%.6f,\"wire_share\":%.6f}\n",
          lines, moves, bytes_in, refused, lost_bytes, starved, peak, seconds,
          seconds > 0 ? (last_bytes - first_bytes) * byte_time / seconds : 0.0);
  fflush(stderr);
  if (record) fflush(record);
  lines = moves = bytes_in = refused = lost_bytes = starved = peak = 0;
  first_move = last_move = 0;
}

static void say(double at, const char *text) {
  int length = (int)strlen(text), repeats = 1;
  if (!strncmp(text, "ok", 2) && double_share > 0 && chance() < double_share) repeats = 2;
  while (repeats--) {
    wire_out = (wire_out > at ? wire_out : at) + length * byte_time;
    memcpy(out[out_tail].text, text, length + 1);
    out[out_tail].length = length;
    out[out_tail].due = wire_out;
    out_tail = (out_tail + 1) % OUT;
  }
}

static void refuse(double at, const char *why) {
  char text[150];
  refused++;
  ring_length = partial_length = 0;
  snprintf(text, sizeof text, "Error:%s, Last Line: %ld\n", why, last_line);
  say(at, text);
  snprintf(text, sizeof text, "Resend: %ld\n", last_line + 1);
  say(at, text);
  say(at, "ok\n");
}

/* One line as it stands in the line buffer. */
static void take(double at, char *line) {
  char *text = line, *star;
  long number = -1;
  while (*text == ' ') text++;
  if (!*text || *text == ';') return;
  if (*text == 'N') {
    char *body, *second, *byte;
    unsigned char sum = 0;
    number = strtol(text + 1, &body, 10);
    int sets = strstr(text, "M110") != NULL;
    if (sets && (second = strchr(text + 4, 'N'))) number = strtol(second + 1, NULL, 10);
    if (!sets && number != last_line + 1) {
      if (number != last_line && number != last_line - 1) refuse(at, "Line Number is not Last Line Number+1");
      return;
    }
    star = strrchr(text, '*');
    if (!star) { refuse(at, "No Checksum with line number"); return; }
    for (byte = text; byte < star; byte++) sum ^= (unsigned char)*byte;
    if (strtol(star + 1, NULL, 10) != sum) { refuse(at, "checksum mismatch"); return; }
    *star = 0;
    last_line = number;
    text = body;
    while (*text == ' ') text++;
  } else if ((star = strrchr(text, '*'))) {
    *star = 0;
  }
  lines++;
  snprintf(queue[queued].text, sizeof queue[queued].text, "%s", text);
  queue[queued].number = number;
  queue[queued++].arrived = at;
}

/* Lines leave the ring while the queue has room; so does the beginning of one that is not whole. */
static void collect(double at) {
  while (queued < SLOTS && ring_length) {
    char *end = memchr(ring, '\n', ring_length), line[KEPT + 1];
    int used = end ? (int)(end - ring) : ring_length, room = KEPT - partial_length;
    int copied = used < room ? used : room;
    memcpy(partial + partial_length, ring, copied);
    partial_length += copied;
    used += end != NULL;
    ring_length -= used;
    memmove(ring, ring + used, ring_length);
    if (!end) return;
    memcpy(line, partial, partial_length);
    line[partial_length] = 0;
    partial_length = 0;
    take(at, line);
  }
}

static int is_move(const char *text) { return text[0] == 'G' && (text[1] == '0' || text[1] == '1') && text[2] == ' '; }

static void drive(double at) {
  while (blocks && block_end[0] <= at) memmove(block_end, block_end + 1, --blocks * sizeof *block_end);
}

/* When the oldest command is done. */
static double done_at(void) {
  double at = (free_at > queue[0].arrived ? free_at : queue[0].arrived) + parse_time;
  if (move_time > 0 && is_move(queue[0].text)) {
    int passed = 0;
    while (blocks - passed >= BLOCKS - 1) {
      if (block_end[passed] > at) at = block_end[passed];
      passed++;
    }
  }
  return at;
}

static void answer(double at, const char *text, long number) {
  char ok[80];
  if (!strncmp(text, "M105", 4)) { say(at, "ok T:21.30 /0.00 B:21.20 /0.00 @:0 B@:0\n"); return; }
  if (!strncmp(text, "M115", 4)) {
    say(at, "FIRMWARE_NAME:Marlin 2.1.2 (bench) PROTOCOL_VERSION:1.0 MACHINE_TYPE:Bench EXTRUDER_COUNT:1\n");
    say(at, "Cap:EEPROM:0\nCap:AUTOREPORT_TEMP:0\nCap:EMERGENCY_PARSER:0\n");
  } else if (!strncmp(text, "M114", 4)) {
    say(at, "X:0.00 Y:0.00 Z:0.00 E:0.00 Count X:0 Y:0 Z:0\n");
  }
  if (!advanced) { say(at, "ok\n"); return; }
  if (number >= 0) snprintf(ok, sizeof ok, "ok N%ld P%d B%d\n", number, BLOCKS - 1 - blocks, SLOTS - queued);
  else snprintf(ok, sizeof ok, "ok P%d B%d\n", BLOCKS - 1 - blocks, SLOTS - queued);
  say(at, ok);
}

static void execute(double at) {
  const char *text = queue[0].text;
  int loses = 0;
  if (is_move(text)) {
    if (!moves++) { first_move = at; first_bytes = bytes_in; }
    last_move = at;
    last_bytes = bytes_in;
    all_moves++;
    for (int i = 0; i < losses; i++) loses |= lose[i] == all_moves;
    if (record) fprintf(record, "%s\n", text);
    drive(at);
    if (move_time > 0) {
      if (blocks >= BLOCKS / 2) filled = 1;
      if (!blocks && filled) { starved++; filled = 0; }
      double begin = blocks ? block_end[blocks - 1] : at;
      block_end[blocks++] = begin + move_time;
    }
  }
  if (!loses) answer(at, text, queue[0].number);
  memmove(queue, queue + 1, --queued * sizeof *queue);
  free_at = at;
}

static void run(double until) {
  for (;;) {
    collect(until);
    if (!queued) return;
    double at = done_at();
    if (at > until) return;
    execute(at);
  }
}

static void receive(double at) {
  char data[4096];
  ssize_t count = read(master, data, sizeof data);
  for (ssize_t i = 0; i < count; i++) {
    wire_in = (wire_in > at ? wire_in : at) + byte_time;
    in[in_tail % IN].byte = data[i];
    in[in_tail++ % IN].due = wire_in;
    if (data[i] != '\n') continue;
    long length = in_tail - 1 - line_start;
    if (length > 2 && corrupt_share > 0 && chance() < corrupt_share) {
      char *byte = &in[(line_start + 1 + (long)(chance() * (length - 1))) % IN].byte;
      *byte = *byte == '#' ? '%' : '#';
    }
    line_start = in_tail;
  }
}

static void deliver(double at) {
  while (in_head < in_tail && in[in_head % IN].due <= at) {
    char byte = in[in_head % IN].byte;
    double due = in[in_head++ % IN].due;
    bytes_in++;
    if (byte == '\r') continue;
    if (ring_length >= ring_size) {
      run(due);
      if (ring_length >= ring_size) { lost_bytes++; continue; }
    }
    ring[ring_length++] = byte;
    if (ring_length > peak) peak = ring_length;
    if (byte == '\n') run(due);
  }
}

static void transmit(double at) {
  char data[1 << 16];
  int length = 0;
  while (out_head != out_tail && out[out_head].due <= at && length < (int)sizeof data - 200) {
    memcpy(data + length, out[out_head].text, out[out_head].length);
    length += out[out_head].length;
    out_head = (out_head + 1) % OUT;
  }
  for (int sent = 0; sent < length;) {
    ssize_t count = write(master, data + sent, length - sent);
    if (count > 0) sent += (int)count;
    else usleep(200);
  }
}

static double next_event(void) {
  double next = 1e300;
  for (long i = in_head; i < in_tail; i++)
    if (in[i % IN].byte == '\n') { next = in[i % IN].due; break; }
  if (out_head != out_tail && out[out_head].due < next) next = out[out_head].due;
  if (queued && done_at() < next) next = done_at();
  return next;
}

static void on_signal(int number) {
  if (number == SIGUSR1) asked = 1;
  else ended = 1;
}

int main(int count, char **words) {
  for (int i = 2; i < count; i++) {
    const char *value = i + 1 < count ? words[i + 1] : "0";
    if (!strcmp(words[i], "--advanced")) { advanced = 1; continue; }
    if (!strcmp(words[i], "--baud")) byte_time = 10.0 / atof(value);
    else if (!strcmp(words[i], "--ring")) ring_size = atoi(value);
    else if (!strcmp(words[i], "--parse")) parse_time = atof(value);
    else if (!strcmp(words[i], "--move")) move_time = atof(value);
    else if (!strcmp(words[i], "--corrupt")) corrupt_share = atof(value);
    else if (!strcmp(words[i], "--double")) double_share = atof(value);
    else if (!strcmp(words[i], "--seed")) seed = strtoull(value, NULL, 10) * 2 + 1;
    else if (!strcmp(words[i], "--record")) record = fopen(value, "w");
    else if (!strcmp(words[i], "--lose"))
      for (const char *at = value; *at && losses < LOSSES; at += strcspn(at, ","), at += *at == ',')
        lose[losses++] = atol(at);
    else { fprintf(stderr, "firmware: what is %s?\n", words[i]); return 2; }
    i++;
  }
  master = posix_openpt(O_RDWR | O_NOCTTY);
  if (count < 2 || master < 0 || grantpt(master) || unlockpt(master)) { perror("firmware"); return 1; }
  unlink(words[1]);
  if (symlink(ptsname(master), words[1])) { perror(words[1]); return 1; }
  /* Held open, so that the host may close and open it. */
  int held = open(ptsname(master), O_RDWR | O_NOCTTY);
  struct termios settings;
  tcgetattr(held, &settings);
  cfmakeraw(&settings);
  tcsetattr(held, TCSANOW, &settings);
  fcntl(master, F_SETFL, O_NONBLOCK);
  signal(SIGUSR1, on_signal);
  signal(SIGTERM, on_signal);
  signal(SIGINT, on_signal);
  fprintf(stderr, "ready\n");
  while (!ended) {
    double at = now();
    receive(at);
    deliver(at);
    run(at);
    transmit(at);
    if (asked) { asked = 0; report(); }
    double wait = next_event() - now();
    struct pollfd ready = {master, POLLIN, 0};
    struct timespec limit = {0, 0};
    if (wait > 0) {
      if (wait > 1) wait = 1;
      limit.tv_sec = (time_t)wait;
      limit.tv_nsec = (long)((wait - (double)limit.tv_sec) * 1e9);
    }
    ppoll(&ready, 1, &limit, NULL);
  }
  report();
  if (record) fclose(record);
  unlink(words[1]);
  return 0;
}
