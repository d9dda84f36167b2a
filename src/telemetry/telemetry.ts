import type { Logger } from '../lib/logger.ts';
import { createLogger, type LogDestination, type LogLevel } from './logger.ts';
import { createMetrics, type Metrics, type MetricsSource } from './metrics.ts';

/** Logs and metrics of one proxy. */
export interface Telemetry {
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly registry: MetricsSource;
  readonly setLogLevel: (level: LogLevel) => void;
  /** Writes buffered log lines; call it last. */
  readonly flush: () => Promise<void>;
}

/**
 * @param options.version of the product
 * @param options.destination default: standard output
 */
export function createTelemetry(options: {
  readonly logLevel: LogLevel;
  readonly version: string;
  readonly destination?: LogDestination;
}): Telemetry {
  const sink = createLogger(options.logLevel, options.destination ?? 1);
  const { metrics, registry } = createMetrics({
    version: options.version,
    droppedLogLines: sink.droppedLines,
  });
  return {
    logger: sink.logger,
    metrics,
    registry,
    setLogLevel: sink.setLevel,
    flush: sink.flush,
  };
}
