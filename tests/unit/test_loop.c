#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "ipc/loop.h"

enum { MAX_NOTES = 32 };

/* What happened, in order, one letter each. */
struct scene {
	struct loop *loop;
	struct loop_hook hooks[3]; /* note 'A', 'B', 'C' */
	struct event *events[2];
	char notes[MAX_NOTES + 1];
	unsigned count;
	int stop_after; /* notes */
	bool a_queues_b;
};

struct hook_arg {
	struct scene *scene;
	unsigned which;
};

static struct hook_arg args[3];

static void note(struct scene *s, char what)
{
	assert_true(s->count < MAX_NOTES);
	s->notes[s->count++] = what;
	if (s->stop_after && (int)s->count >= s->stop_after)
		loop_stop(s->loop);
}

static void on_hook(void *arg)
{
	const struct hook_arg *h = arg;

	note(h->scene, (char)('A' + h->which));
	if (h->which == 0 && h->scene->a_queues_b)
		loop_at_turn_end(h->scene->loop, &h->scene->hooks[1]);
}

static void on_first(evutil_socket_t fd, short what, void *arg)
{
	struct scene *s = arg;

	(void)fd;
	(void)what;
	note(s, '1');
	loop_at_turn_end(s->loop, &s->hooks[0]);
	loop_at_turn_end(s->loop, &s->hooks[0]);
}

static void on_second(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	note(arg, '2');
}

static struct scene *scene_new(void)
{
	static struct scene s;

	s = (struct scene){0};
	assert_int_equal(loop_new(&s.loop), 0);
	for (unsigned i = 0; i < 3; i++) {
		args[i] = (struct hook_arg){&s, i};
		s.hooks[i] = (struct loop_hook){.run = on_hook, .arg = &args[i]};
	}
	s.events[0] = event_new(loop_base(s.loop), -1, 0, on_first, &s);
	s.events[1] = event_new(loop_base(s.loop), -1, 0, on_second, &s);
	return &s;
}

static void scene_end(struct scene *s)
{
	event_free(s->events[0]);
	event_free(s->events[1]);
	loop_free(s->loop);
}

static void test_a_hook_runs_once_and_after_all_events_of_the_turn(void **state)
{
	struct scene *s = scene_new();

	(void)state;
	event_active(s->events[0], 0, 0);
	event_active(s->events[1], 0, 0);
	s->stop_after = 3;
	loop_run(s->loop);
	assert_string_equal(s->notes, "12A");
	scene_end(s);
}

static void test_a_hook_queued_by_a_hook_runs_in_the_same_turn(void **state)
{
	struct scene *s = scene_new();

	(void)state;
	s->a_queues_b = true;
	event_active(s->events[0], 0, 0);
	s->stop_after = 3;
	loop_run(s->loop);
	assert_string_equal(s->notes, "1AB");
	scene_end(s);
}

static void test_hooks_run_in_the_order_they_were_queued(void **state)
{
	struct scene *s = scene_new();

	(void)state;
	loop_at_turn_end(s->loop, &s->hooks[2]);
	loop_at_turn_end(s->loop, &s->hooks[0]);
	loop_at_turn_end(s->loop, &s->hooks[1]);
	loop_stop(s->loop);
	loop_run(s->loop);
	assert_string_equal(s->notes, "CAB");
	scene_end(s);
}

static void test_an_unhooked_hook_does_not_run_and_those_around_it_do(void **state)
{
	static const char *const left[] = {"BC", "AC", "AB"};

	(void)state;
	for (unsigned out = 0; out < 3; out++) {
		struct scene *s = scene_new();

		for (unsigned i = 0; i < 3; i++)
			loop_at_turn_end(s->loop, &s->hooks[i]);
		loop_unhook(s->loop, &s->hooks[out]);
		loop_unhook(s->loop, &s->hooks[out]);
		loop_stop(s->loop);
		loop_run(s->loop);
		assert_string_equal(s->notes, left[out]);
		scene_end(s);
	}
}

static void test_a_hook_may_be_queued_behind_one_that_was_unhooked_last(void **state)
{
	struct scene *s = scene_new();

	(void)state;
	loop_at_turn_end(s->loop, &s->hooks[0]);
	loop_at_turn_end(s->loop, &s->hooks[1]);
	loop_unhook(s->loop, &s->hooks[1]);
	loop_at_turn_end(s->loop, &s->hooks[2]);
	loop_stop(s->loop);
	loop_run(s->loop);
	assert_string_equal(s->notes, "AC");
	scene_end(s);
}

static void test_what_was_queued_after_the_last_turn_runs_when_the_loop_is_freed(void **state)
{
	struct scene *s = scene_new();

	(void)state;
	loop_at_turn_end(s->loop, &s->hooks[1]);
	scene_end(s);
	assert_string_equal(s->notes, "B");
}

static void test_a_loop_that_was_stopped_before_it_runs_returns(void **state)
{
	struct scene *s = scene_new();

	(void)state;
	loop_stop(s->loop);
	event_active(s->events[0], 0, 0);
	loop_run(s->loop);
	assert_string_equal(s->notes, "");
	scene_end(s);
}

struct clock_scene {
	struct loop *loop;
	int64_t start, first, again;
};

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct clock_scene *s = arg;

	(void)fd;
	(void)what;
	s->first = loop_now_us(s->loop);
	usleep(3000);
	s->again = loop_now_us(s->loop);
	loop_stop(s->loop);
}

static void test_time_stands_still_within_a_turn_and_is_fresh_after_the_wait(void **state)
{
	const struct timeval wait = {.tv_usec = 20000};
	struct clock_scene s = {0};
	struct event *timer;

	(void)state;
	assert_int_equal(loop_new(&s.loop), 0);
	timer = evtimer_new(loop_base(s.loop), on_timer, &s);
	s.start = loop_now_us(s.loop);
	event_add(timer, &wait);
	loop_run(s.loop);
	assert_true(s.first == s.again);
	/* the time taken before the loop ran must not be what the first turn sees */
	assert_true(s.first - s.start >= 10000);
	event_free(timer);
	loop_free(s.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_hook_runs_once_and_after_all_events_of_the_turn),
	    cmocka_unit_test(test_a_hook_queued_by_a_hook_runs_in_the_same_turn),
	    cmocka_unit_test(test_hooks_run_in_the_order_they_were_queued),
	    cmocka_unit_test(test_an_unhooked_hook_does_not_run_and_those_around_it_do),
	    cmocka_unit_test(test_a_hook_may_be_queued_behind_one_that_was_unhooked_last),
	    cmocka_unit_test(
	        test_what_was_queued_after_the_last_turn_runs_when_the_loop_is_freed),
	    cmocka_unit_test(test_a_loop_that_was_stopped_before_it_runs_returns),
	    cmocka_unit_test(test_time_stands_still_within_a_turn_and_is_fresh_after_the_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
