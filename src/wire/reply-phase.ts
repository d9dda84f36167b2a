/** What the reply tracker looks for next. */
export const PHASE = {
  FIRST: 0,
  COLUMNS: 1,
  COLUMNS_EOF: 2,
  ROWS: 3,
  PARAMS: 4,
  PARAMS_EOF: 5,
  FILE: 6,
  END: 7,
} as const;
export type Phase = (typeof PHASE)[keyof typeof PHASE];
