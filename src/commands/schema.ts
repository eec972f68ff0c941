/** zc schema: the JSON Schema of what a command prints with --json. */
import * as z from "zod";
import { comparisonSchema } from "../bench/comparison.schema.ts";
import { benchSchema } from "../bench/result.schema.ts";
import { defineCommand, oneOf } from "../command.ts";
import { doctorSchema } from "../doctor/finding.schema.ts";
import { errqSchema } from "../errq/notice.schema.ts";
import { diffSchema } from "../migration/report/diff.schema.ts";
import { elementSchema } from "../migration/report/element.schema.ts";
import { infoSchema } from "../migration/report/info.schema.ts";
import { migrationViewSchema } from "../migration/report/view.schema.ts";
import { returnPathSchema } from "../migration/stream/return-path.schema.ts";
import { printResult } from "../print.ts";
import { relaySchema } from "../relay/summary.schema.ts";
import { transferSchema } from "../transfer/summary.schema.ts";
import {
  vfioInfoSchema,
  vfioResumeSchema,
  vfioSaveSchema,
  vfioStateSchema,
} from "../vfio/report.schema.ts";
import { vfioUserSchemas } from "../vfio-user/report.schema.ts";

/** By the name of the command that prints it. */
const schemas = {
  send: transferSchema,
  recv: transferSchema,
  relay: relaySchema,
  bench: benchSchema,
  "bench-compare": comparisonSchema,
  "migrate-info": infoSchema,
  "migrate-decode": elementSchema,
  "migrate-diff": diffSchema,
  "migrate-return-path": returnPathSchema,
  "migrate-relay": migrationViewSchema,
  "vfio-info": vfioInfoSchema,
  "vfio-state": vfioStateSchema,
  "vfio-save": vfioSaveSchema,
  "vfio-resume": vfioResumeSchema,
  ...vfioUserSchemas,
  doctor: doctorSchema,
  errq: errqSchema,
} as const;
const names = Object.keys(schemas) as (keyof typeof schemas)[];

export const command = defineCommand({
  usage: "NAME",
  text: `Print the JSON Schema of a command's --json output: ${names.join(", ")}.`,
  options: {},
  examples: ["zc schema send"],
  run: async ([name = ""]) => {
    const schema = schemas[oneOf(names)(name, "NAME")];
    printResult(JSON.stringify(z.toJSONSchema(schema), null, 2));
    return 0;
  },
});
