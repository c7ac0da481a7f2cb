/* Wakes once in a millisecond on every CPU, at real-time priority.
 *
 * The emulator keeps translations until a CPU changes its address space, and sets no accessed bit where it has one: a
 * process that runs on undisturbed looks idle to page_idle and to DAMON. Each wake-up changes the address space. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

static void *wake(void *cpu)
{
	const struct timespec period = { .tv_nsec = 1000000 };
	const struct sched_param priority = { .sched_priority = 1 };
	cpu_set_t only;

	CPU_ZERO(&only);
	CPU_SET((long)cpu, &only);
	pthread_setaffinity_np(pthread_self(), sizeof(only), &only);
	pthread_setschedparam(pthread_self(), SCHED_FIFO, &priority);
	for (;;)
		clock_nanosleep(CLOCK_MONOTONIC, 0, &period, NULL);
}

int main(void)
{
	for (long cpu = 1; cpu < sysconf(_SC_NPROCESSORS_ONLN); cpu++) {
		pthread_t thread;

		pthread_create(&thread, NULL, wake, (void *)cpu);
	}
	wake((void *)0);
}
