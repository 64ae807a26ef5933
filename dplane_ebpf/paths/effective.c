// SPDX-License-Identifier: GPL-2.0-or-later
/* What counts of all that is said of a link. */
#include "dplane_ebpf/paths/paths_internal.h"

#include <string.h>

static void take(struct paths_values *to, const struct paths_values *from, uint32_t bit)
{
	to->has |= bit;
	switch (bit) {
	case PATHS_METRIC:
		to->metric = from->metric;
		break;
	case PATHS_DELAY:
		to->delay = from->delay;
		break;
	case PATHS_DELAY_MIN:
		to->delay_min = from->delay_min;
		break;
	case PATHS_DELAY_MAX:
		to->delay_max = from->delay_max;
		break;
	case PATHS_DELAY_VARIATION:
		to->delay_variation = from->delay_variation;
		break;
	case PATHS_LOSS:
		to->loss = from->loss;
		break;
	case PATHS_RESIDUAL_BANDWIDTH:
		to->residual = from->residual;
		break;
	case PATHS_AVAILABLE_BANDWIDTH:
		to->available = from->available;
		break;
	case PATHS_UTILIZED_BANDWIDTH:
		to->utilized = from->utilized;
		break;
	case PATHS_WEIGHT:
		to->weight = from->weight;
		break;
	case PATHS_DRAIN:
		to->drain = from->drain;
		break;
	}
}

void paths_effective(const struct paths_values *of_hop, const struct paths_values *of_link,
		     const struct paths_values *measured, struct paths_values *effective,
		     enum paths_source source[PATHS_VALUES])
{
	const struct paths_values defaults = {.has = PATHS_METRIC, .metric = PATHS_METRIC_DEFAULT};
	const struct paths_values *const by_source[] = {
		[PATHS_DEFAULT] = &defaults,
		[PATHS_MEASURED] = measured,
		[PATHS_OF_LINK] = of_link,
		[PATHS_OF_NEXTHOP] = of_hop,
	};

	memset(effective, 0, sizeof(*effective));
	for (int bit = 0; bit < PATHS_VALUES; bit++) {
		source[bit] = PATHS_DEFAULT;
		for (int s = PATHS_DEFAULT; s <= PATHS_OF_NEXTHOP; s++) {
			if (!by_source[s] || !(by_source[s]->has & 1u << bit))
				continue;
			take(effective, by_source[s], 1u << bit);
			source[bit] = s;
		}
	}
}
