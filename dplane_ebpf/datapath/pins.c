// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The directory on a BPF file system where maps, program and links are pinned, so that
 * forwarding outlives zebra and can be looked at; one live process each.
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
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "dplane_ebpf/datapath/datapath_internal.h"
#include "dplane_ebpf/datapath/dplane_ebpf.skel.h"

#define LINKS "links"
#define PROGRAM "program"

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
	if (mkdir(path, 0755) == 0 || errno == EEXIST)
		return true;
	snprintf(error, error_len,
		 "cannot make the directory %s: %s (zebra's user must be able to write there)",
		 path, strerror(errno));
	return false;
}

bool pins_open(struct datapath *datapath, const struct datapath *replaces, char *error,
	       size_t error_len)
{
	const char *dir = datapath->pin_dir;
	char parent[PATH_MAX], links[PATH_MAX];

	if (!*dir)
		return true;
	if (replaces) {
		/* a lock belongs to all copies of a descriptor, and ends with the last one */
		datapath->lock_fd = fcntl(replaces->lock_fd, F_DUPFD_CLOEXEC, 0);
		if (datapath->lock_fd < 0)
			snprintf(error, error_len, "cannot open %s: %s", dir, strerror(errno));
		return datapath->lock_fd >= 0;
	}
	/* a directory made beside the mount point would only hide the mistake */
	snprintf(parent, sizeof(parent), "%s", dir);
	if (!on_bpffs(dir) && !(access(dir, F_OK) && on_bpffs(dirname(parent)))) {
		snprintf(error, error_len,
			 "%s is not on a BPF file system: mount one (mount -t bpf bpf DIR) "
			 "or give another pin=DIR",
			 dir);
		return false;
	}
	snprintf(links, sizeof(links), "%s/" LINKS, dir);
	if (!make_directory(dir, error, error_len) || !make_directory(links, error, error_len))
		return false;
	datapath->lock_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (datapath->lock_fd < 0) {
		snprintf(error, error_len, "cannot open %s: %s", dir, strerror(errno));
		return false;
	}
	if (flock(datapath->lock_fd, LOCK_EX | LOCK_NB)) {
		int pid = lock_holder(datapath->lock_fd);
		char who[32] = "another process";

		if (pid)
			snprintf(who, sizeof(who), "process %d", pid);
		snprintf(error, error_len, "%s uses %s: give each zebra a pin=DIR of its own", who,
			 dir);
		close(datapath->lock_fd);
		datapath->lock_fd = -1;
		return false;
	}
	return true;
}

void pins_close(struct datapath *datapath)
{
	if (datapath->lock_fd >= 0)
		close(datapath->lock_fd);
	datapath->lock_fd = -1;
}

bool pins_link_path(const struct datapath *datapath, uint32_t ifindex, char path[PATH_MAX])
{
	if (!*datapath->pin_dir)
		return false;
	return snprintf(path, PATH_MAX, "%s/" LINKS "/%u", datapath->pin_dir, ifindex) < PATH_MAX;
}

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

/* Unlinks what stands in a directory, for pins are all that can stand in a BPF file system. */
static void empty(const char *dir)
{
	struct dirent *entry;
	DIR *d = opendir(dir);

	while (d && (entry = readdir(d))) {
		if (entry->d_type != DT_DIR)
			unlinkat(dirfd(d), entry->d_name, 0);
	}
	if (d)
		closedir(d);
}

void pins_remove(struct datapath *datapath)
{
	char links[PATH_MAX];

	if (!*datapath->pin_dir)
		return;
	snprintf(links, sizeof(links), "%s/" LINKS, datapath->pin_dir);
	empty(links);
	rmdir(links);
	empty(datapath->pin_dir);
	/* fails where it is the mount point itself, which is not ours to remove */
	rmdir(datapath->pin_dir);
}
