// SPDX-License-Identifier: GPL-2.0
/* A kernel module with four bugs, of which one runs when the module is loaded, broken or fixed:
 *
 *     insmod bugs.ko bug=list|update|refcount|deadlock [fixed=1] [rounds=N]
 *
 * Threads, each on a CPU of its own, do so many rounds. What came of it is read from the parameter `verdict` afterwards: a
 * line that begins with BUG or with OK. All that a bug can spoil belongs to the module, so that the kernel outlives it, and
 * the module can be removed and loaded again. */
#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched/signal.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#define THREADS 2
/* How long the watchdog waits for progress each time, and how often before it gives up: many times what a round takes. */
#define WATCH_JIFFIES (HZ / 20)
#define WATCHES_MAX 20

static char *bug = "";
module_param(bug, charp, 0444);
MODULE_PARM_DESC(bug, "the bug that runs: list, update, refcount or deadlock");

static bool fixed;
module_param(fixed, bool, 0444);
MODULE_PARM_DESC(fixed, "whether it is fixed");

static unsigned long rounds = 3000;
module_param(rounds, ulong, 0444);
MODULE_PARM_DESC(rounds, "how many rounds each thread does");

static char verdict_text[160];
static char *verdict = verdict_text;
module_param(verdict, charp, 0444);
MODULE_PARM_DESC(verdict, "how it ended");

static atomic_t told = ATOMIC_INIT(0);
static atomic_t ready = ATOMIC_INIT(0);
static atomic_t running = ATOMIC_INIT(THREADS);
static atomic_long_t progress = ATOMIC_LONG_INIT(0);
static DECLARE_COMPLETION(all_done);

/* The first one that finds something speaks, and all end. */
#define struck(...)                                                                                                    \
	do {                                                                                                           \
		if (!atomic_xchg(&told, 1))                                                                            \
			describe(__VA_ARGS__);                                                                         \
	} while (0)

static __printf(1, 2) void describe(const char *format, ...)
{
	char text[128];
	va_list arguments;

	va_start(arguments, format);
	vscnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	scnprintf(verdict_text, sizeof(verdict_text), "BUG module_%s%s %s", bug, fixed ? "-fixed" : "", text);
}

/* A list whose nodes are put on it under its lock, and taken off it without. So a node may stay on the list, behind one that
 * was being put on, though its owner thinks that it is off. */
struct session {
	struct hlist_node link;
	int owner;
};

static HLIST_HEAD(sessions);
static DEFINE_SPINLOCK(sessions_lock);
static struct session session_of[THREADS];

static bool is_listed(const struct session *session)
{
	const struct hlist_node *node = READ_ONCE(sessions.first);

	/* The spoilt list may be a ring. */
	for (int seen = 0; node && seen <= THREADS; seen++, node = READ_ONCE(node->next))
		if (node == &session->link)
			return true;
	return false;
}

static void list_round(int number, unsigned long round)
{
	struct session *session = &session_of[number];
	bool listed;

	spin_lock(&sessions_lock);
	hlist_add_head(&session->link, &sessions);
	spin_unlock(&sessions_lock);

	if (fixed)
		spin_lock(&sessions_lock);
	hlist_del_init(&session->link);
	if (fixed)
		spin_unlock(&sessions_lock);

	spin_lock(&sessions_lock);
	listed = is_listed(session);
	spin_unlock(&sessions_lock);
	if (listed)
		struck("session %d is on the list after it was taken off in round %lu", number, round);
}

/* Counters that one path changes under their lock, and another one without. */
static DEFINE_SPINLOCK(counters_lock);
static unsigned long packets, bytes;

static void count(unsigned long size)
{
	WRITE_ONCE(packets, READ_ONCE(packets) + 1);
	WRITE_ONCE(bytes, READ_ONCE(bytes) + size);
}

static void update_round(int number, unsigned long round)
{
	unsigned long size = 64 + round % 1024;
	bool locks = fixed || number == 0;

	if (locks)
		spin_lock(&counters_lock);
	count(size);
	if (locks)
		spin_unlock(&counters_lock);
}

static void update_end(void)
{
	if (packets != THREADS * rounds)
		struck("%lu packets were counted, not %lu", packets, THREADS * rounds);
}

/* An object that is replaced now and then, and goes when its last user does. Who wants to use it reads where it is and then
 * counts himself in; in between it may have been replaced, and be gone. The fixed one does both under the lock under which
 * the object is replaced. What is gone is poisoned, and used again only after others. */
#define OBJECTS 8
#define LIVE 0x11fe11fe
#define POISON 0xdeaddead

struct object {
	atomic_t references;
	u32 magic;
	/* Set last by whom it goes with. */
	bool is_in_use;
};

static struct object objects[OBJECTS];
static struct object *current_object;
static DEFINE_SPINLOCK(current_lock);
/* The next object to use again. Only one thread replaces objects. */
static unsigned int next_object;

static void object_put(struct object *object)
{
	if (atomic_dec_and_test(&object->references)) {
		WRITE_ONCE(object->magic, POISON);
		smp_store_release(&object->is_in_use, false);
	}
}

static void replace_object(void)
{
	struct object *new, *old;

	do
		new = &objects[next_object++ % OBJECTS];
	while (smp_load_acquire(&new->is_in_use));
	new->is_in_use = true;
	WRITE_ONCE(new->magic, LIVE);
	atomic_set(&new->references, 1);
	spin_lock(&current_lock);
	old = current_object;
	WRITE_ONCE(current_object, new);
	spin_unlock(&current_lock);
	if (old)
		object_put(old);
}

static struct object *object_get(void)
{
	struct object *object;

	if (fixed)
		spin_lock(&current_lock);
	object = READ_ONCE(current_object);
	if (object)
		atomic_inc(&object->references);
	if (fixed)
		spin_unlock(&current_lock);
	return object;
}

static void refcount_round(int number, unsigned long round)
{
	struct object *object;
	u32 magic;

	if (number == 0) {
		replace_object();
		return;
	}
	object = object_get();
	if (!object)
		return;
	magic = READ_ONCE(object->magic);
	if (magic != LIVE)
		struck("an object with the magic number %#x is used in round %lu", magic, round);
	object_put(object);
}

/* Two accounts, each with its lock; money goes from one to the other under both. One thread takes the locks in one order, the
 * other one in the other. The watchdog notices, and wakes them, so that the locks come free again. */
static struct mutex accounts[2];

static void deadlock_round(int number, unsigned long round)
{
	int first = fixed ? 0 : number;

	if (mutex_lock_interruptible(&accounts[first]))
		return;
	if (!mutex_lock_interruptible(&accounts[1 - first])) {
		atomic_long_inc(&progress);
		mutex_unlock(&accounts[1 - first]);
	}
	mutex_unlock(&accounts[first]);
}

struct scenario {
	const char *name;
	void (*round)(int number, unsigned long round);
	/* After all threads, if there is something to be seen then. */
	void (*end)(void);
};

static const struct scenario scenarios[] = {
	{ "list", list_round, NULL },
	{ "update", update_round, update_end },
	{ "refcount", refcount_round, NULL },
	{ "deadlock", deadlock_round, NULL },
};

static const struct scenario *scenario;

static int run(void *argument)
{
	int number = (long)argument;

	allow_signal(SIGKILL);
	atomic_inc(&ready);
	while (atomic_read(&ready) < THREADS)
		cond_resched();
	for (unsigned long round = 0; round < rounds && !atomic_read(&told); round++) {
		scenario->round(number, round);
		atomic_long_inc(&progress);
		cond_resched();
	}
	if (atomic_dec_and_test(&running))
		complete(&all_done);
	/* Until the module waits for the thread's end: it must not be removed below it. */
	while (!kthread_should_stop()) {
		flush_signals(current);
		schedule_timeout_interruptible(1);
	}
	return 0;
}

/* Waits for the threads, and notices if none of them gets on. */
static void watch(struct task_struct *const threads[])
{
	long seen = -1;
	int watches = 0;

	while (!wait_for_completion_timeout(&all_done, WATCH_JIFFIES)) {
		long now = atomic_long_read(&progress);

		watches = now == seen ? watches + 1 : 0;
		seen = now;
		if (watches < WATCHES_MAX)
			continue;
		struck("nobody gets on after %ld rounds", now);
		for (int i = 0; i < THREADS; i++)
			send_sig(SIGKILL, threads[i], 1);
		wait_for_completion(&all_done);
		return;
	}
}

static int __init bugs_init(void)
{
	struct task_struct *threads[THREADS];
	int cpu = -1, made;

	for (int i = 0; i < ARRAY_SIZE(scenarios); i++)
		if (!strcmp(bug, scenarios[i].name))
			scenario = &scenarios[i];
	if (!scenario) {
		pr_err("bugs: bug= wants list, update, refcount or deadlock\n");
		return -EINVAL;
	}
	for (int i = 0; i < ARRAY_SIZE(accounts); i++)
		mutex_init(&accounts[i]);
	for (made = 0; made < THREADS; made++) {
		threads[made] = kthread_create(run, (void *)(long)made, "bugs/%d", made);
		if (IS_ERR(threads[made]))
			break;
		cpu = cpumask_next(cpu, cpu_online_mask);
		if (cpu >= nr_cpu_ids)
			cpu = cpumask_first(cpu_online_mask);
		kthread_bind(threads[made], cpu);
	}
	if (made == THREADS) {
		for (int i = 0; i < THREADS; i++)
			wake_up_process(threads[i]);
		watch(threads);
	}
	for (int i = 0; i < made; i++)
		kthread_stop(threads[i]);
	if (made < THREADS)
		return PTR_ERR(threads[made]);
	if (scenario->end)
		scenario->end();
	if (!atomic_read(&told))
		scnprintf(verdict_text, sizeof(verdict_text), "OK module_%s%s", bug, fixed ? "-fixed" : "");
	return 0;
}

static void __exit bugs_exit(void)
{
}

module_init(bugs_init);
module_exit(bugs_exit);
MODULE_DESCRIPTION("Four bugs of kernels, broken and fixed");
MODULE_LICENSE("GPL");
