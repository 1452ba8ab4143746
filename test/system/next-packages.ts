/** `make next-packages`: packages of the next version in a directory, for the tests of upgrades. */
import { root } from '../../packaging/bundles.mjs';
import { makeNextPackages } from './harness/next-version.js';

await makeNextPackages(root, process.argv[2] || 'dist/packages-next');
