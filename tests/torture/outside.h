/* What lies outside of the store's directory, and files of the store's names that lead there. Beside the directory stand
 * copies of its files and one file for each other name that the library uses; above it stands one more. Nothing of it may
 * change: no name, type, mode, owner, inode, length, time of writing, link or content. */
#ifndef OUTSIDE_H
#define OUTSIDE_H
#include "fields.h"

static char beside[300]; /* the directory beside the store's */

/* ---- seeing that it is as it was ----------------------------------------------------------- */

typedef struct { char text[32768]; size_t len; } picture_t;

static uint32_t content_sum(const char *path, const struct stat *st) {
  static uint8_t piece[1 << 16];
  uint32_t       sum = 0;
  ssize_t        len;
  if (S_ISLNK(st->st_mode)) {
    must((len = readlink(path, (char *)piece, sizeof piece)) >= 0);
    return crc(0, piece, (size_t)len);
  }
  if (!S_ISREG(st->st_mode)) return 0;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  must(fd >= 0);
  while ((len = read(fd, piece, sizeof piece)) > 0) sum = crc(sum, piece, (size_t)len);
  close(fd);
  return sum;
}

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

/* Adds a line for each thing in the directory but the store's directories, and for what is in it. */
static void draw(picture_t *p, const char *path) {
  struct dirent **found;
  int             count = scandir(path, &found, NULL, by_name);
  must(count >= 0);
  for (int i = 0; i < count; i++) {
    char        child[512];
    struct stat st;
    must(snprintf(child, sizeof child, "%s/%s", path, found[i]->d_name) < (int)sizeof child);
    bool is_left_out = !strcmp(found[i]->d_name, ".") || !strcmp(found[i]->d_name, "..") || !strcmp(child, victim) || !strcmp(child, pristine);
    free(found[i]);
    if (is_left_out) continue;
    must(lstat(child, &st) == 0);
    /* The directories with the store's in them are written to by this program. */
    bool holds_store = S_ISDIR(st.st_mode) && !strncmp(child, victim, strlen(child)) && victim[strlen(child)] == '/';
    int  len         = snprintf(p->text + p->len, sizeof p->text - p->len, "%s %o %u %" PRIu64 " %" PRIu64 " %" PRId64 ".%09ld %08x\n", child,
                                st.st_mode, st.st_uid, (uint64_t)st.st_ino, holds_store ? 0 : (uint64_t)st.st_size,
                                holds_store ? 0 : (int64_t)st.st_mtim.tv_sec, holds_store ? 0 : st.st_mtim.tv_nsec, content_sum(child, &st));
    must((p->len += (size_t)len) < sizeof p->text);
    if (S_ISDIR(st.st_mode)) draw(p, child);
  }
  free(found);
}

static picture_t outside_before;

static void outside_check(void) {
  static picture_t now;
  size_t           same = 0;
  now.len               = 0;
  draw(&now, torture.dir);
  if (now.len == outside_before.len && !memcmp(now.text, outside_before.text, now.len)) return;
  while (same < now.len && now.text[same] == outside_before.text[same]) same++;
  while (same > 0 && now.text[same - 1] != '\n') same--;
  violation("outside of the store's directory something changed:\n  now: %.300s\n  was: %.300s", now.text + same, outside_before.text + same);
  outside_before = now; /* told once */
}

/* ---- names that lead outside --------------------------------------------------------------- */

static const char *const NAMES[] = {"MANIFEST",       "CHECKPOINT", "STAGE",      "WARM",       "RESERVE",    "LOCK",        "MANIFEST.new",
                                    "CHECKPOINT.new", "WARM.new",   "000001.seg", "000002.seg", "000003.seg", "000004.seg",  "000005.seg",
                                    "000900.seg",     "000001.gone", "000002.gone", "000003.gone", "000004.gone", "000900.gone"};

static void put_beside(const char *name, const void *bytes, size_t len) {
  int fd = open(path_of(beside, name), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
  must(fd >= 0 || errno == EEXIST);
  must(fd < 0 || write(fd, bytes, len) == (ssize_t)len);
  if (fd >= 0) close(fd);
}

/* Makes what is outside, from the store's files, and draws it. */
static void outside_begin(void) {
  remove_tree(beside);
  must(mkdir(beside, 0755) == 0);
  for (size_t f = 0; f < file_count; f++) put_beside(files[f].name, files[f].bytes, files[f].len);
  for (size_t i = 0; i < LENGTH(NAMES); i++) put_beside(NAMES[i], "not yours", 9);
  put_beside("../../above", "not yours", 9);
  outside_before.len = 0;
  draw(&outside_before, torture.dir);
}

typedef enum { LINK, LINK_TO_NOTHING, LINK_TO_DIRECTORY, HARD_LINK, FIFO, DIRECTORY, NAME_FORMS } name_form_t;
static const char *const NAME_FORM_NAMES[] = {"a link", "a link to nothing", "a link to a directory", "a hard link", "a FIFO", "a directory"};

/* Puts something else than the store's own file at one of its names. */
static void misname(const char *name, name_form_t how) {
  char target[512];
  snprintf(target, sizeof target, "%s/%s", beside, how == LINK_TO_NOTHING ? "nothing" : how == LINK_TO_DIRECTORY ? "." : name);
  const char *at = path_of(victim, name);
  must(unlink(at) == 0 || errno == ENOENT);
  switch (how) {
  case HARD_LINK: must(link(target, at) == 0); break;
  case FIFO: must(mkfifo(at, 0600) == 0); break;
  case DIRECTORY: must(mkdir(at, 0700) == 0); break;
  default: must(symlink(target, at) == 0);
  }
}

#endif
