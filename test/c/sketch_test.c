/* How many pages differ, and a sample of them in which each has the same chance. */
#include "../../c/sketch.h"

#include <string.h>

#include "check.h"

#define PAGE 64u
#define SAMPLES 8u

static void add(struct sketch *sketch, uint32_t number)
{
    uint8_t page[PAGE] = {0};
    memcpy(page, &number, sizeof(number));
    sketch_add(sketch, page, PAGE);
}

static void the_same_again_changes_nothing(void)
{
    static struct sketch once, twice;
    for (uint32_t number = 0; number < 5000; number++) {
        add(&once, number);
        add(&twice, number);
        add(&twice, number);
    }
    CHECK(memcmp(once.registers, twice.registers, sizeof(once.registers)) == 0);
    CHECK(once.pages == 5000 && twice.pages == 10000);
}

static void registers_are_of_any_rank_that_can_be(void)
{
    static struct sketch sketch;
    for (uint32_t number = 0; number < 200000; number++)
        add(&sketch, number);
    uint32_t touched = 0;
    for (size_t i = 0; i < ZC_RAM_REGISTERS; i++) {
        CHECK(sketch.registers[i] <= 64 - SKETCH_BITS + 1);
        touched += sketch.registers[i] > 0;
    }
    CHECK(touched > ZC_RAM_REGISTERS * 99 / 100);
}

/* Over many streams of 100 pages each is picked about as often as every other. */
static void each_page_has_the_same_chance(void)
{
    static uint8_t memory[SAMPLES * PAGE];
    uint32_t picked[100] = {0};
    struct sketch sketch = {.sample = memory, .sample_max = SAMPLES};
    for (uint32_t stream = 0; stream < 10000; stream++) {
        sketch.pages = 0;
        for (uint32_t number = 0; number < 100; number++)
            add(&sketch, number);
        for (uint32_t i = 0; i < SAMPLES; i++) {
            uint32_t number;
            memcpy(&number, memory + i * PAGE, sizeof(number));
            CHECK(number < 100);
            picked[number]++;
        }
    }
    /* 800 expected, with a standard deviation of 27. */
    for (uint32_t number = 0; number < 100; number++)
        CHECK(picked[number] > 650 && picked[number] < 950);
}

int main(void)
{
    the_same_again_changes_nothing();
    registers_are_of_any_rank_that_can_be();
    each_page_has_the_same_chance();
    return 0;
}
