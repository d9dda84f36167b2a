/** Bytes that the lexer knows by name. */
export const TAB = 0x09;
export const LINE_FEED = 0x0a;
export const CARRIAGE_RETURN = 0x0d;
export const SPACE = 0x20;
export const BANG = 0x21;
export const DOUBLE_QUOTE = 0x22;
export const HASH = 0x23;
export const SINGLE_QUOTE = 0x27;
export const STAR = 0x2a;
export const PLUS = 0x2b;
export const MINUS = 0x2d;
export const PERIOD = 0x2e;
export const SLASH = 0x2f;
export const ZERO = 0x30;
export const NINE = 0x39;
export const COLON = 0x3a;
export const EQUAL = 0x3d;
export const AT = 0x40;
export const BACKSLASH = 0x5c;
export const BACKTICK = 0x60;

/** ASCII digits, as `0`–`9`, and with `A`–`F`. */
export const isDigit = (c: number): boolean => c >= ZERO && c <= NINE;
export const isHexDigit = (c: number): boolean =>
  isDigit(c) || (c >= 0x41 && c <= 0x46) || (c >= 0x61 && c <= 0x66);
