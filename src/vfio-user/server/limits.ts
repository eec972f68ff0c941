/** What one client can have of the server. */

/** Of a message's data; bytes. Also of a reply to a request that says how long it may be. */
export const dataSizeMax = 1 << 20;
/** Of a client's message. */
export const fdsMax = 8;
/** Ranges of guest memory at a time: with a file, each is a mapping. */
export const dmaMapsMax = 4096;
/** Of one of them; bytes. As libvfio-user. */
export const dmaSizeMax = 8n << 40n;
/** Of all that are mapped here: what we have of addresses is 128 TiB. */
export const dmaMappedMax = 32n << 40n;
/** For all bitmaps of pages that were written: 2 TiB of guest memory, by pages of 4096. Bytes. */
export const bitmapsSizeMax = 64 << 20;
export const pageSize = 4096;
