-- expected: contacts
select c.id,
  btrim(c.name[1]),
  nullif(btrim(array_to_string(c.name[2:], ',')), ''),
  case when c.phone like '+%' then c.phone_parts[1] end,
  nullif(btrim(case when c.phone like '+%' then array_to_string(c.phone_parts[2:], ' ') else c.phone end), ''),
  nullif(concat_ws(', ', nullif(btrim(c.street_line), ''), nullif(btrim(c.city_line), '')), ''),
  to_date(c.birth_year || '-' || c.birth_month || '-' || c.birth_day, 'YYYY-MM-DD')
from (
  select *, case full_name when '' then array[''] else string_to_array(full_name, ',') end as name,
    string_to_array(phone, ' ') as phone_parts,
    coalesce(street, '') || ' ' || coalesce(house_number, '') as street_line,
    coalesce(postcode, '') || ' ' || coalesce(city, '') as city_line
  from contacts
) c;
