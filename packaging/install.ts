/**
 * `make install`: puts the built programs and everything around them in place.
 *
 * Environment: DESTDIR (stands for the root of the file system), PREFIX (default /usr), PG_SHAREDIRS (directories
 * that get the SQL extension, separated by blanks), LIBDIR (below PREFIX, where the binary lies: `lib64`; default as on
 * Debian, `lib/x86_64-linux-gnu`).
 */
import { root } from './bundles.mjs';
import { installTree } from './install-tree.js';

const { DESTDIR: destination = '', PREFIX: prefix = '/usr', PG_SHAREDIRS: directories = '' } = process.env;
const libraryDirectory = process.env['LIBDIR'] || undefined;
const shareDirectories = directories.split(/\s+/).filter((word) => word !== '');
const relative = [prefix, ...shareDirectories, destination || '/'].find((path) => !path.startsWith('/'));
if (relative !== undefined) {
  console.error(`make install: "${relative}" is not an absolute path`);
  process.exitCode = 2;
} else {
  try {
    installTree({
      from: root,
      destination,
      prefix: prefix.replace(/\/+$/, ''),
      libraryDirectory,
      shareDirectories,
    });
  } catch (error) {
    console.error(`make install: ${error instanceof Error ? error.message : error}`);
    process.exitCode = 1;
  }
}
