/** Version of the product; the release that raises it in package.json raises it here. */
export const VERSION = '0.1.0';
