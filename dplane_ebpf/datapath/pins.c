// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The directory on a BPF file system where maps, program and links are pinned, so that
 * forwarding outlives zebra and can be looked at; one live process each. What is in it is
 *
 *	fib_header ...	the maps, by their names
 *	program
 *	links/N		the tcx link of interface N
 *	links/N-qdisc	an empty directory: the clsact qdisc of interface N was made by one of us
 *
 * and nothing else: a directory with other things in it is not ours, and is neither used nor cleared.
 *
 * Where nothing is to be pinned links are, nevertheless, in a BPF file system that is mounted nowhere and ends with the process.
 * Of a link that only a descriptor holds the kernel makes whoever closes it wait until it is detached, 12 ms each; of one that is
 * pinned, nobody.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <syslog.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "dplane_ebpf/datapath/datapath_internal.h"
#include "dplane_ebpf/datapath/dplane_ebpf.skel.h"
#include "dplane_ebpf/log.h"

#define LINKS "links"
#define PROGRAM "program"
/* a BPF file system takes no dots in names */
#define QDISC "-qdisc"

/* digits of an interface's number */
#define NUMBER_LEN 10

static bool on_bpffs(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && (unsigned long)fs.f_type == BPF_FS_MAGIC;
}

/* The process that holds a lock on this file, from /proc/locks; 0: not told. */
static int lock_holder(int fd)
{
	char line[256], wanted[64];
	struct stat st;
	int pid = 0, found = 0;
	FILE *locks;

	if (fstat(fd, &st))
		return 0;
	snprintf(wanted, sizeof(wanted), "%02x:%02x:%llu ", major(st.st_dev), minor(st.st_dev),
		 (unsigned long long)st.st_ino);
	locks = fopen("/proc/locks", "re");
	while (locks && !found && fgets(line, sizeof(line), locks)) {
		if (strstr(line, wanted) && sscanf(line, "%*d: FLOCK %*s %*s %d", &pid) == 1)
			found = pid;
	}
	if (locks)
		fclose(locks);
	return found;
}

static bool make_directory(const char *path, char *error, size_t error_len)
{
	if (mkdir(path, 0700) == 0 || errno == EEXIST)
		return true;
	snprintf(error, error_len,
		 "cannot make the directory %s: %s (zebra's user must be able to write there)",
		 path, strerror(errno));
	return false;
}

/* ---- what is ours ---- */

static bool is_map(const struct datapath *datapath, const char *name)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, datapath->skel->obj)
	{
		if (!bpf_map__is_internal(map) && !strcmp(name, bpf_map__name(map)))
			return true;
	}
	return false;
}

/* What the kernel puts into the root of each BPF file system. */
static bool is_kernels(const char *name)
{
	return !strcmp(name, "maps.debug") || !strcmp(name, "progs.debug");
}

static bool is_ours(const struct datapath *datapath, const char *name)
{
	return !strcmp(name, LINKS) || !strcmp(name, PROGRAM) || is_map(datapath, name);
}

static bool is_ours_in_links(const struct datapath *datapath, const char *name)
{
	size_t digits = strspn(name, "0123456789");

	return digits && digits <= NUMBER_LEN && (!name[digits] || !strcmp(name + digits, QDISC));
}

/* An entry of a directory that is not ours; false: there is none. */
static bool first_foreign(const struct datapath *datapath, const char *dir,
			  bool (*ours)(const struct datapath *, const char *),
			  char name[NAME_MAX + 1])
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	bool found = false;

	while (d && !found && (entry = readdir(d))) {
		found = strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") &&
			!is_kernels(entry->d_name) && !ours(datapath, entry->d_name);
		if (found)
			snprintf(name, NAME_MAX + 1, "%s", entry->d_name);
	}
	if (d)
		closedir(d);
	return found;
}

/* Removes what is ours in a directory, and the directory if it is empty then and no mount point. */
static void clear(const struct datapath *datapath, const char *dir,
		  bool (*ours)(const struct datapath *, const char *))
{
	DIR *d = opendir(dir);
	struct dirent *entry;

	while (d && (entry = readdir(d))) {
		if (ours(datapath, entry->d_name) && unlinkat(dirfd(d), entry->d_name, 0))
			unlinkat(dirfd(d), entry->d_name, AT_REMOVEDIR);
	}
	if (d)
		closedir(d);
	rmdir(dir);
}

bool pins_prepare(const struct datapath *datapath, char *error, size_t error_len)
{
	const char *dir = datapath->pin_dir;
	char links[PATH_MAX], name[NAME_MAX + 1];

	if (!*dir)
		return true;
	snprintf(links, sizeof(links), "%s/" LINKS, dir);
	if (!first_foreign(datapath, dir, is_ours, name) &&
	    !first_foreign(datapath, links, is_ours_in_links, name))
		return make_directory(links, error, error_len);
	snprintf(
		error, error_len,
		"%s has something in it that is not ours (%s): give pin=DIR a directory of its own, or "
		"remove that",
		dir, name);
	return false;
}

/* Who may write in a directory may put another program or other tables in the place of ours, unless it is sticky. */
static void tell_of_mode(const char *dir)
{
	struct stat st;

	if (stat(dir, &st) == 0 && st.st_mode & (S_IWGRP | S_IWOTH) && !(st.st_mode & S_ISVTX))
		dpe_log(LOG_WARNING,
			"other users may exchange what is pinned in %s: chmod +t it (mount option "
			"mode=1777)",
			dir);
}

/* ---- open and close ---- */

/* A BPF file system of our own, mounted nowhere. Without one, links are held by their descriptors. */
static void open_private(struct datapath *datapath)
{
	int fs = fsopen("bpf", FSOPEN_CLOEXEC);

	if (fs < 0)
		return;
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		datapath->mount_fd = fsmount(fs, FSMOUNT_CLOEXEC, 0);
	close(fs);
}

static bool lock(struct datapath *datapath, char *error, size_t error_len)
{
	const char *dir = datapath->pin_dir;
	char who[32] = "another process";
	int pid;

	datapath->lock_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (datapath->lock_fd < 0) {
		snprintf(error, error_len, "cannot open %s: %s", dir, strerror(errno));
		return false;
	}
	if (flock(datapath->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return true;
	pid = lock_holder(datapath->lock_fd);
	if (pid)
		snprintf(who, sizeof(who), "process %d", pid);
	snprintf(error, error_len, "%s uses %s: give each zebra a pin=DIR of its own", who, dir);
	pins_close(datapath);
	return false;
}

static bool share(struct datapath *datapath, const struct datapath *with)
{
	/* a lock belongs to all copies of a descriptor, and ends with the last one */
	if (with->lock_fd >= 0)
		datapath->lock_fd = fcntl(with->lock_fd, F_DUPFD_CLOEXEC, 0);
	if (with->mount_fd >= 0)
		datapath->mount_fd = fcntl(with->mount_fd, F_DUPFD_CLOEXEC, 0);
	return datapath->lock_fd >= 0 || !*datapath->pin_dir;
}

bool pins_open(struct datapath *datapath, const struct datapath *replaces, char *error,
	       size_t error_len)
{
	const char *dir = datapath->pin_dir;
	char parent[PATH_MAX], copy[PATH_MAX];

	if (replaces) {
		if (share(datapath, replaces))
			return true;
		snprintf(error, error_len, "cannot open %s: %s", dir, strerror(errno));
		return false;
	}
	if (!*dir) {
		open_private(datapath);
		return true;
	}
	/* a directory made beside the mount point would only hide the mistake */
	snprintf(copy, sizeof(copy), "%s", dir);
	snprintf(parent, sizeof(parent), "%s", dirname(copy));
	if (!on_bpffs(dir) && !(access(dir, F_OK) && on_bpffs(parent))) {
		snprintf(error, error_len,
			 "%s is not on a BPF file system: mount one (mount -t bpf bpf DIR) "
			 "or give another pin=DIR",
			 dir);
		return false;
	}
	if (!make_directory(dir, error, error_len) || !lock(datapath, error, error_len))
		return false;
	tell_of_mode(dir);
	if (on_bpffs(parent))
		tell_of_mode(parent);
	return true;
}

void pins_close(struct datapath *datapath)
{
	if (datapath->lock_fd >= 0)
		close(datapath->lock_fd);
	if (datapath->mount_fd >= 0)
		close(datapath->mount_fd);
	datapath->lock_fd = datapath->mount_fd = -1;
}

/* ---- links and qdiscs ---- */

static bool path_of(const struct datapath *datapath, uint32_t ifindex, const char *what,
		    char path[PATH_MAX])
{
	if (*datapath->pin_dir)
		return snprintf(path, PATH_MAX, "%s/" LINKS "/%u%s", datapath->pin_dir, ifindex,
				what) < PATH_MAX;
	snprintf(path, PATH_MAX, "/proc/self/fd/%d/%u%s", datapath->mount_fd, ifindex, what);
	return datapath->mount_fd >= 0;
}

bool pins_link_path(const struct datapath *datapath, uint32_t ifindex, char path[PATH_MAX])
{
	return path_of(datapath, ifindex, "", path);
}

void pins_note_qdisc(const struct datapath *datapath, uint32_t ifindex, bool is_ours)
{
	char path[PATH_MAX];

	if (!path_of(datapath, ifindex, QDISC, path))
		return;
	if (is_ours)
		(void)!mkdir(path, 0700);
	else
		rmdir(path);
}

bool pins_has_qdisc(const struct datapath *datapath, uint32_t ifindex)
{
	char path[PATH_MAX];

	return path_of(datapath, ifindex, QDISC, path) && access(path, F_OK) == 0;
}

/* ---- maps and program ---- */

static bool pin(const struct datapath *datapath, int fd, const char *name, char *error,
		size_t error_len)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", datapath->pin_dir, name);
	/* what stood there goes on living for as long as an attached program uses it */
	unlink(path);
	if (bpf_obj_pin(fd, path) == 0)
		return true;
	snprintf(error, error_len, "cannot pin %s: %s (zebra's user must be able to write there)",
		 path, strerror(errno));
	return false;
}

bool pins_make(struct datapath *datapath, char *error, size_t error_len)
{
	struct bpf_map *map;

	if (!*datapath->pin_dir)
		return true;
	bpf_object__for_each_map(map, datapath->skel->obj)
	{
		if (!bpf_map__is_internal(map) &&
		    !pin(datapath, bpf_map__fd(map), bpf_map__name(map), error, error_len))
			return false;
	}
	return pin(datapath, datapath_program_fd(datapath), PROGRAM, error, error_len);
}

void pins_remove(struct datapath *datapath)
{
	char links[PATH_MAX];

	if (!*datapath->pin_dir)
		return;
	snprintf(links, sizeof(links), "%s/" LINKS, datapath->pin_dir);
	clear(datapath, links, is_ours_in_links);
	clear(datapath, datapath->pin_dir, is_ours);
}
