/** The C library, loaded at first use: every call of c/zc.h, declared once. */
import { dlopen } from "bun:ffi";
import { ZcError } from "../src/errors.ts";
import { libraryPath } from "./compile.ts";

const declarations = {
  zc_event_open: { args: [], returns: "i32" },
  zc_event_signal: { args: ["i32"], returns: "i32" },
  zc_event_take: { args: ["i32", "ptr"], returns: "i32" },
  zc_close_later: { args: ["i32"], returns: "i32" },
  zc_job_cancel: { args: ["i64"], returns: "i32" },
  zc_job_free: { args: ["i64"], returns: "i32" },
  zc_memory_new: { args: ["u64", "u64", "u32"], returns: "i64" },
  zc_memory_free: { args: ["i64"], returns: "i32" },
  zc_move_start: { args: ["ptr"], returns: "i64" },
  zc_relay_start: { args: ["ptr"], returns: "i64" },
  zc_answers_start: { args: ["ptr"], returns: "i64" },
  zc_histogram_bucket: { args: ["i64"], returns: "u32" },
  zc_clock_now: { args: [], returns: "i64" },
  zc_datagrams_start: { args: ["ptr"], returns: "i64" },
  zc_arrivals_start: { args: ["ptr"], returns: "i64" },
  zc_arrivals_restart: { args: ["i64"], returns: "i32" },
  zc_datagram_peer: { args: ["i32", "ptr", "u32"], returns: "i32" },
  zc_channel_start: { args: ["ptr"], returns: "i64" },
  zc_channel_write: { args: ["i64", "u64", "ptr", "u32"], returns: "i32" },
  zc_channel_take: { args: ["i64", "ptr", "u32"], returns: "i32" },
  zc_channel_end: { args: ["i64"], returns: "i32" },
  zc_notices_take: { args: ["i64", "ptr", "u32"], returns: "i32" },
  zc_watch_start: { args: ["ptr"], returns: "i64" },
  zc_wait_start: { args: ["ptr"], returns: "i64" },
  zc_finish_start: { args: ["ptr"], returns: "i64" },
  zc_digest_new: { args: ["u32"], returns: "i64" },
  zc_digest_value: { args: ["i64", "ptr"], returns: "i32" },
  zc_digest_free: { args: ["i64"], returns: "i32" },
  zc_fd_describe: { args: ["i32", "ptr"], returns: "i32" },
  zc_fd_nonblocking: { args: ["i32", "i32"], returns: "i32" },
  zc_fd_columns: { args: ["i32"], returns: "i32" },
  zc_pipe_open: { args: ["ptr"], returns: "i32" },
  zc_socket_open: { args: ["i32", "i32", "i32"], returns: "i32" },
  zc_socket_pair: { args: ["ptr"], returns: "i32" },
  zc_socket_bind: { args: ["i32", "ptr", "u32"], returns: "i32" },
  zc_socket_listen: { args: ["i32", "i32"], returns: "i32" },
  zc_socket_connect: { args: ["i32", "ptr", "u32"], returns: "i32" },
  zc_socket_accept: { args: ["i32"], returns: "i32" },
  zc_socket_error: { args: ["i32"], returns: "i32" },
  zc_socket_name: { args: ["i32", "i32", "ptr", "u32"], returns: "i32" },
  zc_socket_set: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
  zc_socket_get: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
  zc_fd_of_process: { args: ["i32", "i32"], returns: "i32" },
  zc_socket_unsent: { args: ["i32"], returns: "i32" },
  zc_processor_bind: { args: ["i32"], returns: "i32" },
  zc_ring_new: { args: ["u64"], returns: "i64" },
  zc_ring_free: { args: ["i64", "u64"], returns: "i32" },
  zc_reader_start: { args: ["ptr"], returns: "i64" },
  zc_reader_release: { args: ["i64", "u64"], returns: "i32" },
  zc_ram_new: { args: ["u32", "u32"], returns: "i64" },
  zc_ram_free: { args: ["i64"], returns: "i32" },
  zc_ram_add_block: { args: ["i64", "ptr", "u32", "u64"], returns: "i32" },
  zc_ram_image: { args: ["i64", "u32", "i32", "u64"], returns: "i32" },
  zc_ram_scan: { args: ["i64", "u32", "ptr", "u64", "ptr"], returns: "i32" },
  zc_ram_packet: { args: ["i64", "u32", "ptr"], returns: "i32" },
  zc_ram_mapped: { args: ["i64", "u32", "u64", "ptr", "u64", "ptr"], returns: "i32" },
  zc_ram_counts: { args: ["i64", "ptr"], returns: "i32" },
  zc_ram_counts_of_block: { args: ["i64", "u32", "ptr"], returns: "i32" },
  zc_ram_counts_of_round: { args: ["i64", "u32", "ptr"], returns: "i32" },
  zc_ram_kept: { args: ["i64", "u32"], returns: "i64" },
  zc_ram_registers: { args: ["i64", "ptr"], returns: "i32" },
  zc_ram_records_start: { args: ["ptr"], returns: "i64" },
  zc_ram_sample: { args: ["i64", "ptr", "u64"], returns: "i32" },
  zc_link_start: { args: ["ptr"], returns: "i64" },
  zc_link_take: { args: ["i64", "ptr", "u64", "ptr"], returns: "i32" },
  zc_link_settle: { args: ["i64"], returns: "i32" },
  zc_link_send: { args: ["i64", "ptr", "u64", "ptr", "u64", "ptr", "u32"], returns: "i32" },
  zc_link_end: { args: ["i64"], returns: "i32" },
  zc_link_serve: { args: ["i64", "ptr"], returns: "i32" },
  zc_link_pull_start: { args: ["ptr"], returns: "i64" },
  zc_link_push_start: { args: ["ptr"], returns: "i64" },
  zc_link_calls_start: { args: ["ptr"], returns: "i64" },
  zc_shared_memory_open: { args: ["u64"], returns: "i32" },
  zc_map: { args: ["i32", "u64", "u64", "u32"], returns: "i64" },
  zc_unmap: { args: ["i64", "u64"], returns: "i32" },
  zc_mapped_read: { args: ["i64", "ptr", "u64"], returns: "i32" },
  zc_mapped_write: { args: ["i64", "ptr", "u64"], returns: "i32" },
  zc_vfio_start: { args: ["ptr"], returns: "i64" },
  zc_probe_sendmsg_zc: { args: [], returns: "i32" },
  zc_card_index: { args: ["ptr"], returns: "i32" },
  zc_card_rules: { args: ["ptr", "u32"], returns: "i32" },
  zc_vsock_local_cid: { args: [], returns: "i64" },
  zc_layouts: { args: ["ptr", "u32"], returns: "i32" },
} as const;

export type Library = ReturnType<typeof load>;

/** The calls of c/zc.h. Throws UNSUPPORTED where they cannot be compiled or loaded. */
export function library(): Library {
  loaded ??= load();
  return loaded;
}

let loaded: Library | undefined;

function load() {
  const path = libraryPath();
  try {
    return dlopen(path, declarations).symbols;
  } catch (error) {
    throw new ZcError({
      code: "UNSUPPORTED",
      operation: "load",
      subject: path,
      reason: error instanceof Error ? error.message : String(error),
      hint: process.env["ZC_LIBRARY"]
        ? "ZC_LIBRARY must name a library made from these sources"
        : "",
    });
  }
}
