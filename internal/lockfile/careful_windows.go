package lockfile

// careful is nothing on Windows, where links are for administrators and no directory is
// everybody's.
const careful = 0
