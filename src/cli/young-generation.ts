import { PerformanceObserver } from 'node:perf_hooks';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';

/** Both semi-spaces together; V8 would go on to 128 MiB and more, and never give it back. */
const ENOUGH_BYTES = 16 * 1024 * 1024;

/**
 * Keeps V8's young generation from growing for good. A rush of logins makes it grow, since all that
 * it allocates lives on, and the memory is never returned: with thousands of idle clients it would
 * be most of what each of them costs. The flag is read each time that V8 wants to grow; set from
 * the start it would keep the space too small for full speed.
 */
export function boundYoungGeneration(): void {
  const observer = new PerformanceObserver(() => {
    const young = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space');
    if (young === undefined || young.space_size < ENOUGH_BYTES) return;
    setFlagsFromString('--semi-space-growth-factor=1');
    observer.disconnect();
  });
  observer.observe({ entryTypes: ['gc'] });
}
