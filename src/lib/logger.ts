/**
 * How the project logs: fields first, then a fixed sentence that can be searched for. Fixed field
 * names: `connId`, `clientAddr`, `server`, `command`, `source`, `err`. Never SQL text.
 *
 * Only the shape is here, so that any layer may be handed a logger; `telemetry/` makes them.
 */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  /** A logger that adds these fields to each line. */
  child(fields: object): Logger;
}
