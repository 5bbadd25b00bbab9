;FLAVOR:Marlin
;TIME:2738
;Filament used: 1.38064m
;Layer height: 0.15
;Generated with Cura_SteamEngine 4.0.0
M104 S180
M190 S{material_bed_temperature}
M109 T0 R205
G28
G1 Z15 F9000
G92 E0
;LAYER_COUNT:3
;LAYER:0
;TYPE:SKIRT
G0 F9000 X1 Y1 Z0.3
;MESH:cup.stl
G1 X10 Y10 F6000
G1 X20 Y10 E0.5
G1 X20 Y20 E1.0
G1 X10 Y20 E1.5
G1 X10 Y10 E2.0
;MESH:NONMESH
G0 X0 Y0
;TIME_ELAPSED:900.5
;LAYER:1
;TYPE:SKIRT
G0 F9000 X1 Y1 Z0.45
;MESH:cup.stl
G1 X10 Y10 F6000
G1 X20 Y10 E0.5
G1 X20 Y20 E1.0
G1 X10 Y20 E1.5
G1 X10 Y10 E2.0
;MESH:NONMESH
G0 X0 Y0
;TIME_ELAPSED:1801.0
;LAYER:2
;TYPE:SKIRT
G0 F9000 X1 Y1 Z0.6
;MESH:cup.stl
G1 X10 Y10 F6000
G1 X20 Y10 E0.5
G1 X20 Y20 E1.0
G1 X10 Y20 E1.5
G1 X10 Y10 E2.0
;MESH:NONMESH
G0 X0 Y0
;TIME_ELAPSED:2701.5
M104 S0
G1 Z25 F900
;End of Gcode
;SETTING_3 {"global_quality": "[general]\\nversion = 4\\nname = Fine\\n\\n[values]\\nsup
;SETTING_3 port_enable = True\\n\\n", "extruder_quality": ["[values]\\ninfill_pattern = g
;SETTING_3 yroid\\ninfill_sparse_density = 35\\n\\n"]}
