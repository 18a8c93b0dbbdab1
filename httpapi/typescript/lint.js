// Lints the OpenAPI document at a URL by Redocly's rules. Prints what breaks them, and
// fails if anything does, a warning too.
import { createConfig, lint } from "@redocly/openapi-core";

const config = await createConfig({
  extends: ["recommended-strict"],
  rules: {
    "operation-description": "error",
    "parameter-description": "error",
    "tag-description": "error",
  },
});
const problems = await lint({ ref: process.argv[2], config });
for (const { ruleId, message, location } of problems) {
  console.log(`${ruleId}: ${message} At ${location[0].pointer}`);
}
process.exitCode = problems.length ? 1 : 0;
