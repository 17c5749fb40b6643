/** Where a secret comes from, as the inventory names it; `literal` works and `check` warns. */
export type SecretSource =
  | { readonly env: string }
  | { readonly file: string }
  | { readonly command: string }
  | { readonly literal: string }
