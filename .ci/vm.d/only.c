/* Runs a program as user UID with no other capabilities than those named, as systemd's CapabilityBoundingSet= and containers do:
 *
 *	only UID sys_admin,sys_ptrace PROGRAM [ARG..]
 *
 * User 0 has them all in effect; any other user has none after the program was started. */
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static const struct {
	const char *name;
	int cap;
} known[] = {
	{ "dac_override", CAP_DAC_OVERRIDE }, { "dac_read_search", CAP_DAC_READ_SEARCH }, { "sys_admin", CAP_SYS_ADMIN },
	{ "sys_nice", CAP_SYS_NICE },	      { "sys_ptrace", CAP_SYS_PTRACE },
};

int main(int argc, char **argv)
{
	unsigned long long keep = 0;
	int uid;

	if (argc < 4)
		return 2;
	uid = atoi(argv[1]);
	for (char *name = strtok(argv[2], ","); name; name = strtok(NULL, ",")) {
		size_t i = 0;

		while (i < sizeof(known) / sizeof(*known) && strcmp(known[i].name, name))
			i++;
		if (i == sizeof(known) / sizeof(*known)) {
			fprintf(stderr, "only: unknown capability %s\n", name);
			return 2;
		}
		keep |= 1ULL << known[i].cap;
	}
	/* Beyond the last that the kernel knows it fails. */
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
		if (!(keep >> cap & 1) && prctl(PR_CAPBSET_DROP, cap)) {
			perror("only: PR_CAPBSET_DROP");
			return 2;
		}
	if (setgid(uid) || setuid(uid)) {
		perror("only: setuid");
		return 2;
	}
	execvp(argv[3], argv + 3);
	perror(argv[3]);
	return 127;
}
