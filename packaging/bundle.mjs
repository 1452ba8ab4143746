#!/usr/bin/env node
// @ts-check
/** Builds `dist/`: `node packaging/bundle.mjs [programs] [client]`, both without an argument. */
import { buildClient, buildPrograms } from './bundles.mjs';

const builders = /** @type {Record<string, () => Promise<void>>} */ ({
  programs: () => buildPrograms(),
  client: () => buildClient(),
});
const wanted = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(builders);
try {
  await Promise.all(
    wanted.map((name) => {
      const builder = builders[name];
      if (builder === undefined)
        throw new Error(`no part "${name}"; there are ${Object.keys(builders).join(', ')}`);
      return builder();
    }),
  );
} catch (error) {
  // esbuild has printed its own messages already.
  if (!(error instanceof Error && 'errors' in error))
    console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
