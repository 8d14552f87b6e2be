"""The functions that the databases of users and groups have, so that names are indexed without a column of their own.

`name_form` is what search compares, as `plain` of the kit gives it for a folded text; a test holds them equal.
`name_grams` holds all parts of two and three characters, those of one that is no ASCII, and, marked with ~, the words
and each of them without one of its inner letters: two words that share one of these differ by a slip.

Migrations run them, so they are never changed: what is to differ gets a new name.
"""

from services.kit.texts.text_search import MARKS

FUNCTIONS = (
    rf"""CREATE FUNCTION name_form(name text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN normalize(replace(replace(translate(regexp_replace(normalize(name, NFKD), '[{MARKS}]', '', 'g'),
  'øđħıłŧ', 'odhilt'), 'æ', 'ae'), 'œ', 'oe'), NFC)""",
    """CREATE FUNCTION name_grams(name text) RETURNS tsvector LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
  WITH spaced AS (SELECT translate(name_form(name), '_.-', '   ') AS form),
    words AS (SELECT word FROM spaced, string_to_table(form, ' ') AS word WHERE length(word) BETWEEN 1 AND 20)
  SELECT coalesce(array_to_tsvector(array_agg(DISTINCT gram)), '') FROM (
    SELECT substr(form, i, n) FROM spaced, generate_series(1, length(form)) AS i, generate_series(1, 3) AS n
      WHERE i + n <= length(form) + 1 AND (n > 1 OR ascii(substr(form, i, 1)) > 127)
    UNION ALL SELECT '~' || word FROM words
    UNION ALL SELECT '~' || substr(word, 1, i - 1) || substr(word, i + 1)
      FROM words, generate_series(2, length(word) - 1) AS i WHERE length(word) > 3 AND substr(word, i, 1) !~ '[0-9]'
  ) AS all_grams(gram);
END""",
)
