/* Nothing is lost, doubled or reordered, and closing wakes everybody. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/mem.h"
#include "base/queue.h"

#define N_ITEMS 2000

static void *number(size_t i)
{
    return (void *)(uintptr_t)(i + 1);
}

static void items_come_out_in_order(void **state)
{
    (void)state;
    struct queue *queue = queue_new(3);
    for (size_t round = 0; round < 10; round++) {
        for (size_t i = 0; i < 3; i++)
            assert_true(queue_push(queue, number(i)));
        assert_false(queue_try_push(queue, number(3)));
        for (size_t i = 0; i < 2; i++)
            assert_ptr_equal(queue_pop(queue), number(i));
        assert_ptr_equal(queue_pop(queue), number(2));
    }
    queue_free(queue);
    queue_free(NULL);
}

static void a_closed_queue_is_emptied_and_then_ends(void **state)
{
    (void)state;
    struct queue *queue = queue_new(2);
    queue_push(queue, number(7));
    queue_close(queue);
    assert_false(queue_push(queue, number(8)));
    assert_false(queue_try_push(queue, number(8)));
    assert_ptr_equal(queue_pop(queue), number(7));
    assert_null(queue_pop(queue));
    queue_free(queue);
}

struct crowd {
    struct queue *queue;
    atomic_int seen[N_ITEMS];
    atomic_int next;
};

static void *produce(void *arg)
{
    struct crowd *crowd = arg;
    for (int i; (i = atomic_fetch_add(&crowd->next, 1)) < N_ITEMS;)
        if (!queue_push(crowd->queue, number((size_t)i)))
            break;
    return NULL;
}

static void *consume(void *arg)
{
    struct crowd *crowd = arg;
    void *item;
    while ((item = queue_pop(crowd->queue)))
        atomic_fetch_add(&crowd->seen[(uintptr_t)item - 1], 1);
    return NULL;
}

static void threads_hand_over_every_item_once(void **state)
{
    (void)state;
    struct crowd *crowd = mem_alloc(sizeof(*crowd));
    crowd->queue = queue_new(4);
    pthread_t producers[3], consumers[3];
    for (int i = 0; i < 3; i++) {
        pthread_create(&consumers[i], NULL, consume, crowd);
        pthread_create(&producers[i], NULL, produce, crowd);
    }
    for (int i = 0; i < 3; i++)
        pthread_join(producers[i], NULL);
    queue_close(crowd->queue);
    for (int i = 0; i < 3; i++)
        pthread_join(consumers[i], NULL);
    for (size_t i = 0; i < N_ITEMS; i++)
        assert_int_equal(crowd->seen[i], 1);
    queue_free(crowd->queue);
    mem_free(crowd);
}

static void *push_until_closed(void *arg)
{
    while (queue_push(arg, arg))
        ;
    return NULL;
}

static void *pop_until_closed(void *arg)
{
    while (queue_pop(arg))
        ;
    return NULL;
}

static void closing_wakes_those_who_wait(void **state)
{
    (void)state;
    struct queue *full = queue_new(1), *empty = queue_new(1);
    pthread_t pusher, popper;
    pthread_create(&pusher, NULL, push_until_closed, full);
    pthread_create(&popper, NULL, pop_until_closed, empty);
    queue_close(full);
    queue_close(empty);
    pthread_join(pusher, NULL);
    pthread_join(popper, NULL);
    queue_free(full);
    queue_free(empty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_come_out_in_order),
        cmocka_unit_test(a_closed_queue_is_emptied_and_then_ends),
        cmocka_unit_test(threads_hand_over_every_item_once),
        cmocka_unit_test(closing_wakes_those_who_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
