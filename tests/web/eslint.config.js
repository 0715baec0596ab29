/** The style of the modules in diffviz/web, of the site's script, and of the tests here. */

import js from "@eslint/js";
import globals from "globals";

const IMPORTS = "ImportDeclaration > :not(ImportSpecifier):not(Literal)";
const EXPORTS = ":matches(ExportAllDeclaration, ExportNamedDeclaration[source])";

export default [
  { ignores: ["**/vendor/**", "**/node_modules/**"] },
  js.configs.recommended,
  {
    languageOptions: { ecmaVersion: 2025, sourceType: "module" },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      complexity: ["error", 12],
      curly: ["error", "multi-line"],
      eqeqeq: "error",
      "max-len": ["error", { code: 100 }],
      "max-lines-per-function": ["error", { max: 60, skipBlankLines: true, skipComments: true }],
      "max-statements-per-line": ["error", { max: 1 }],
      "no-nested-ternary": "error",
      "no-shadow": "error",
      "no-var": "error",
      "one-var": ["error", "never"],
      "prefer-const": "error",
    },
  },
  { files: ["**/diffviz/web/*.js"], languageOptions: { globals: globals.browser } },
  {
    // bundle.py links these modules, and knows imports by name and exports where they are made
    files: ["**/diffviz/web/*.js"],
    rules: {
      "no-restricted-syntax": ["error", IMPORTS, EXPORTS],
    },
  },
  { files: ["**/docs/_static/*.js"], languageOptions: { globals: globals.browser } },
  { files: ["**/tests/web/*.js"], languageOptions: { globals: globals.node } },
];
