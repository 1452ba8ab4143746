/** The minor version of pg before the newest; its declarations are those of pg. */
declare module 'pg-previous' {
  import pg from 'pg';
  export default pg;
}
