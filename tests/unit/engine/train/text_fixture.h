/* text_fixture.h -- a small data set of texts on disk, for a fixture's runs. */
#ifndef THAW_TESTS_TRAIN_TEXT_FIXTURE_H
#define THAW_TESTS_TRAIN_TEXT_FIXTURE_H

#include "tests/unit/engine/train/fixture.h"

#define N_TEXTS      60 /* with a label: half of them about animals, half about the weather */
#define N_UNLABELLED 40
#define N_LONG       4 /* of the labelled ones are longer than a chunk */

/* As fixture_set_up and fixture_tear_down; `unlabelled`: no text has a label; `long`: besides, the
 * texts without a label have N_LONG_WORDS different words of N_LETTERS letters. */
#define N_LONG_WORDS 80000
#define N_LETTERS    240
int text_fixture_set_up(void **state);
int text_fixture_set_up_unlabelled(void **state);
int text_fixture_set_up_long(void **state);
int text_fixture_tear_down(void **state);

/* A resolved spec's parts that every test here shares: a tiny network, from nothing. */
#define TINY_TEXT                  TEXT_WITH("2", "null")
#define TEXT_WITH(min_freq, model) TEXT_WITH_WORDS(min_freq, "1000", model)
#define TEXT_WITH_WORDS(min_freq, max_vocab, model)                                                \
    "'text':{'embedding':12,'hidden':16,'layers':2,'seq_len':8,'max_len':24,'drop_mult':null,"     \
    "'alpha':2,'beta':1,'backwards':null,'min_freq':" min_freq ",'max_vocab':" max_vocab           \
    ",'lm_valid_fraction':0.1,"                                                                    \
    "'lm_on_valid':false},'seed':3,'valid_fraction':0.2,'split_seed':0,'model':" model ","         \
    "'optimizer':{'name':'adamw','form':'v2','betas':[0.9,0.99],'eps':1e-5,'weight_decay':0.01,"   \
    "'decay_norm_bias':false,'clip':0.5}"

#define TEXT_STAGE(name, phase, freeze_to, epochs, lr)                                             \
    "{'name':'" name "','phase':'" phase "','freeze_to':" freeze_to ",'epochs':" epochs            \
    ",'min_steps':0,'lr':" lr ",'schedule':{'name':'one_cycle','form':'v2','pct_start':0.25,"      \
    "'div':25,'div_final':100000,'momentum':[0.8,0.7,0.8]},'then':'go_on','fresh':false}"

#endif
